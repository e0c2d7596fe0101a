//! The script that writes a file on another machine, where no program may run.

use testkit::process::command;
use testkit::{TestEnv, skipped};

const ASIDE: &str = include_str!("../../src/targets/far/aside.sh");

/// Mounts a folder so in a view of its own, and shows afterwards what is in it.
const WITHOUT_PROGRAMS: &str = "mount -t tmpfs -o noexec none \"$1\" && cd \"$1\" || exit 77
echo x | sh -c \"$2\" sh \"$1/new\" \"$3\" \"$1/hook\"
echo \"$?\"; ls -A";

#[test]
fn what_has_to_run_is_not_put_where_nothing_may_and_a_file_is() {
    let env = TestEnv::new("/nonexistent/qd");
    let folder = env.path("mounted");
    std::fs::create_dir(&folder).unwrap();
    for (mode, wanted) in [("700", "1\n"), ("600", "0\nnew\n")] {
        let mut view = command("unshare");
        view.args(["-r", "-m", "sh", "-c", WITHOUT_PROGRAMS, "sh"]);
        view.arg(&folder).args([ASIDE, mode]).env("PATH", std::env::var_os("PATH").unwrap());
        let Some(said) = view.output().ok().filter(|it| it.status.success()) else {
            return skipped("nothing can be mounted here");
        };
        let complaint = String::from_utf8_lossy(&said.stderr);
        assert_eq!(String::from_utf8_lossy(&said.stdout), wanted, "{complaint}");
        assert_eq!(complaint.contains("noexec"), mode == "700", "{complaint}");
    }
}
