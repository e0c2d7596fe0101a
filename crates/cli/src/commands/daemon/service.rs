//! `qd daemon install` and `uninstall`: starting with the user's session.

use std::fs;

use api::error::with_causes;
use api::{ErrorCode, ExitCode};
use daemon::service::{Manager, Service, ServiceError};

use crate::commands::Outcome;
use crate::console::Console;
use crate::failure::Failure;
use crate::output::style;
use crate::output::text::Text;
use crate::starter::this_program;

pub(crate) fn install(console: &Console) -> Outcome {
    let service = service()?;
    service.install().map_err(|error| failure(&error))?;
    let mut lines = vec![Text::plain(format!("Wrote {}.", service.file.display()))];
    lines.push(Text::plain("To start it with your session, now and after each restart:"));
    for step in service.next_steps() {
        lines.push(Text::plain("  ").then_styled(step, style::COMMAND));
    }
    if service.manager == Manager::Systemd {
        let why = "Lingering keeps it running when you are not logged in.";
        lines.push(Text::styled(why, style::QUIET));
    }
    console.done(console.told(&lines));
    Ok(ExitCode::Ok)
}

pub(crate) fn uninstall(console: &Console) -> Outcome {
    console.done(console.told(&remove()?));
    Ok(ExitCode::Ok)
}

/// Removes the service file and says what is left to do.
pub(crate) fn remove() -> Result<Vec<Text>, Failure> {
    let service = service()?;
    let file = service.file.display().to_string();
    if !service.uninstall().map_err(|error| failure(&error))? {
        return Ok(vec![Text::plain("No service was installed.")]);
    }
    let mut lines = vec![Text::plain(format!("Removed {file}."))];
    if service.manager == Manager::Systemd {
        lines.extend(unlink(&service));
        let forget = "systemctl --user daemon-reload";
        lines.push(Text::plain("To make systemd forget it: ").then_styled(forget, style::COMMAND));
    }
    Ok(lines)
}

/// What `systemctl enable` left behind: a link to a file that is gone now.
fn unlink(service: &Service) -> Option<Text> {
    let name = service.file.file_name()?;
    let link = service.file.parent()?.join("default.target.wants").join(name);
    let ours = fs::read_link(&link).is_ok_and(|to| to == service.file);
    (ours && fs::remove_file(&link).is_ok())
        .then(|| Text::plain(format!("Removed {}.", link.display())))
}

fn service() -> Result<Service, Failure> {
    let env = |name: &str| std::env::var_os(name);
    Service::new(&this_program()?, env).map_err(|error| failure(&error))
}

fn failure(error: &ServiceError) -> Failure {
    let message = with_causes(error);
    match error {
        ServiceError::Path(_) => Failure::new(ErrorCode::BadRequest, message)
            .with_hint("Put qd and QD_HOME at paths of plain letters, digits and blanks."),
        ServiceError::NoHome => Failure::new(ErrorCode::BadRequest, message)
            .with_hint("Set HOME; the service file belongs below it."),
        ServiceError::Foreign(file) => Failure::new(ErrorCode::Forbidden, message)
            .with_hint(format!("Look at it, and move it away: {}", file.display())),
        ServiceError::Write { .. } => Failure::new(ErrorCode::Internal, message)
            .with_hint("Look at the permissions and the room on that disk."),
    }
}
