//! The filters that lists and the watch stream share.

use api::ErrorCode;
use api::filters::Filters;
use api::list::ListQuery;
use api::reference::TargetSession;
use api::sort::{Sort, SortKey};
use api::target_name::TargetName;
use api::words::{DisplayCategory, Scope, State};
use clap::Args;

use crate::args::word;
use crate::failure::Failure;

#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Filters")]
pub(crate) struct FilterArgs {
    /// Only on this target; repeat it for several
    #[arg(long, value_name = "NAME")]
    target: Vec<String>,

    /// On all targets, which is the default
    #[arg(long, conflicts_with = "target")]
    all_targets: bool,

    /// Only in this session of this target; special characters as %XX
    #[arg(long, value_name = "TARGET/SESSION")]
    target_session: Option<String>,

    /// Only in sessions of exactly this name
    #[arg(long, value_name = "NAME", allow_hyphen_values = true)]
    session: Option<String>,

    /// Only in this state; repeat it or separate several by commas
    #[arg(long, value_name = "STATE", value_delimiter = ',', value_parser = word::<State>(State::WORDS))]
    state: Vec<State>,

    /// Only running this agent; `none` stands for panes without one
    #[arg(long, value_name = "AGENT", value_delimiter = ',')]
    agent: Vec<String>,

    /// Only in this drawer
    #[arg(
        long,
        value_name = "CATEGORY",
        value_delimiter = ',',
        value_parser = word::<DisplayCategory>(DisplayCategory::WORDS)
    )]
    category: Vec<DisplayCategory>,

    /// Only those that need somebody; `=false` for the others
    #[arg(
        long,
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true"
    )]
    needs_action: Option<bool>,
}

impl FilterArgs {
    pub(crate) fn filters(&self) -> Result<Filters, Failure> {
        let target_session = self.target_session.as_deref().map(target_session).transpose()?;
        Ok(Filters {
            target: self.target.iter().map(|it| target_name(it)).collect::<Result<_, _>>()?,
            all_targets: self.all_targets,
            target_session,
            session: self.session.clone(),
            state: self.state.clone(),
            agent: self.agent.clone(),
            category: self.category.clone(),
            needs_action: self.needs_action,
        })
    }
}

#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Order")]
pub(crate) struct OrderArgs {
    /// Sort by location, state or category, panes also by agent, state_since, last_activity_at or
    /// updated_at, windows and sessions also by total_panes; `-` in front reverses it; repeat it for
    /// more keys
    #[arg(long, value_name = "KEY", value_delimiter = ',', allow_hyphen_values = true)]
    sort: Vec<String>,

    /// At most so many
    #[arg(long, value_name = "COUNT")]
    limit: Option<u32>,

    /// Go on where the page before ended
    #[arg(long, value_name = "TOKEN")]
    page: Option<String>,
}

impl OrderArgs {
    /// The order that was asked for, of what a list of that scope has.
    fn keys(&self, scope: Scope) -> Result<Vec<Sort>, Failure> {
        let key = |text: &String| {
            let sort = text.parse::<Sort>().ok().filter(|it| it.key.applies_to(scope));
            sort.ok_or_else(|| {
                let message = format!("`{text}` is nothing that {scope} can be sorted by");
                let words = SortKey::words_for(scope).join(", ");
                Failure::new(ErrorCode::BadRequest, message)
                    .with_hint(format!("Give --sort one of: {words}."))
            })
        };
        self.sort.iter().map(key).collect()
    }
}

/// What a list is asked for.
pub(crate) fn list_query(
    filters: &FilterArgs,
    order: &OrderArgs,
    scope: Scope,
) -> Result<ListQuery, Failure> {
    Ok(ListQuery {
        filters: filters.filters()?,
        sort: order.keys(scope)?,
        limit: order.limit,
        page: order.page.clone(),
    })
}

/// The name of a target as somebody typed it.
pub(crate) fn target_name(text: &str) -> Result<TargetName, Failure> {
    text.parse().map_err(|error: api::target_name::TargetNameError| {
        Failure::new(ErrorCode::BadRequest, format!("`{text}` cannot name a target: {error}"))
            .with_hint("Names are like build or host-2; `qd target list` shows those there are.")
    })
}

fn target_session(text: &str) -> Result<TargetSession, Failure> {
    text.parse().map_err(|error: api::reference::ReferenceError| {
        Failure::new(error.code(), format!("`{text}`: {error}"))
            .with_hint("Write it like local/work; `qd list sessions` shows them.")
    })
}

#[cfg(test)]
mod tests {
    use api::query::Query;
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        filters: FilterArgs,
        #[command(flatten)]
        order: OrderArgs,
    }

    fn query(arguments: &[&str]) -> Result<String, Failure> {
        let line = Line::parse_from(std::iter::once(&"qd").chain(arguments));
        list_query(&line.filters, &line.order, Scope::Panes).map(|query| query.to_query_string())
    }

    #[test]
    fn tc_048_every_filter_reaches_the_api_as_it_was_meant() {
        for (arguments, expected) in [
            (&[][..], ""),
            (&["--target", "a", "--target", "b"], "target=a&target=b"),
            (&["--all-targets"], "all_targets=true"),
            (&["--target-session", "a/b%2Fc"], "target_session=a/b%252Fc"),
            (&["--session", "-x y"], "session=-x%20y"),
            (
                &["--state", "error,idle", "--state", "running"],
                "state=error&state=idle&state=running",
            ),
            (&["--agent", "claude,none"], "agent=claude&agent=none"),
            (&["--category", "attention"], "category=attention"),
            (&["--needs-action"], "needs_action=true"),
            (&["--needs-action=false"], "needs_action=false"),
            (
                &["--sort", "-state,agent", "--limit", "3", "--page", "t"],
                "sort=-state&sort=agent&limit=3&page=t",
            ),
        ] {
            assert_eq!(query(arguments).unwrap(), expected, "{arguments:?}");
        }
    }

    #[test]
    fn what_a_list_cannot_be_sorted_by_is_refused_with_what_it_can() {
        let line = Line::parse_from(["qd", "--sort", "total_panes"]);
        let asked = |scope| list_query(&line.filters, &line.order, scope);
        assert!(asked(Scope::Sessions).is_ok());
        for refused in [asked(Scope::Panes).map(drop), query(&["--sort", "foo"]).map(drop)] {
            let Err(Failure::Told(error)) = refused else { panic!("it was taken") };
            assert_eq!(error.code, ErrorCode::BadRequest);
            assert!(error.hint.contains("state_since"), "{}", error.hint);
            assert!(!error.hint.contains("total_panes"), "{}", error.hint);
        }
    }

    #[test]
    fn tc_032_what_is_no_reference_or_name_is_refused_with_the_code_of_the_api() {
        let code = |arguments: &[&str]| match query(arguments).unwrap_err() {
            Failure::Told(error) => error.code,
            Failure::OutputClosed => panic!("nothing was written"),
        };
        assert_eq!(code(&["--target-session", "nonsense"]), ErrorCode::RefInvalid);
        assert_eq!(code(&["--target-session", "a/%zz"]), ErrorCode::RefInvalidEncoding);
        assert_eq!(code(&["--target", "a/b"]), ErrorCode::BadRequest);
    }
}
