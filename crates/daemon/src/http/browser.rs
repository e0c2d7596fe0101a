//! What a browser gives away about who really asks: the host that it thinks it speaks to, and the
//! page that made it ask.
//!
//! Another site cannot forge these. What lies about its host was led here by a name server, and what
//! names another origin is somebody else's page. Programs send none of it but the host.

use std::net::SocketAddr;

use api::error_code::ErrorCode;
use http::header::{self, HeaderMap, HeaderName};
use http::request::Parts;

use super::problem::Problem;

/// What a proxy adds. Behind one, everybody would look as if they were on this machine.
const FORWARDED: [&str; 7] = [
    "forwarded",
    "via",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-proto",
    "x-real-ip",
];
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Refuses over TCP whatever was not meant for this address, or comes from another site.
pub(super) fn check(listen: SocketAddr, head: &Parts) -> Result<(), Problem> {
    let host = host(listen, head)?;
    let origins: Vec<_> = head.headers.get_all(header::ORIGIN).iter().collect();
    let own = format!("http://{host}");
    if origins.len() > 1 || origins.iter().any(|origin| origin.as_bytes() != own.as_bytes()) {
        return Err(cross_origin());
    }
    let sites = head.headers.get_all(SEC_FETCH_SITE).iter();
    if sites.into_iter().any(|site| site != "same-origin" && site != "none") {
        return Err(cross_origin());
    }
    Ok(())
}

/// The one host that is named, which has to be where we listen, to the letter.
fn host(listen: SocketAddr, head: &Parts) -> Result<&str, Problem> {
    let misdirected = |message: &str| {
        Problem::new(ErrorCode::Misdirected, message).detail("listen", listen.to_string())
    };
    if head.uri.authority().is_some() {
        return Err(misdirected("the request names its host in its first line, as for a proxy"));
    }
    if FORWARDED.iter().any(|name| head.headers.contains_key(*name)) {
        return Err(misdirected("the request comes through a proxy"));
    }
    let mut hosts = head.headers.get_all(header::HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else {
        return Err(misdirected("the request names no host, or more than one"));
    };
    let ours = [listen.to_string(), format!("localhost:{}", listen.port())];
    // A browser leaves the usual port out.
    let short = (listen.port() == 80).then(|| [host_alone(listen), "localhost".to_owned()]);
    let known = ours.iter().chain(short.iter().flatten());
    let host = host.to_str().ok().filter(|host| known.into_iter().any(|it| it == host));
    host.ok_or_else(|| misdirected("the request is for another host"))
}

fn host_alone(listen: SocketAddr) -> String {
    match listen {
        SocketAddr::V4(listen) => listen.ip().to_string(),
        SocketAddr::V6(listen) => format!("[{}]", listen.ip()),
    }
}

/// Refuses on the user's own socket what a browser sends: none can reach it but through something
/// that hands connections on, and then whatever page is open could.
pub(super) fn keep_out(headers: &HeaderMap) -> Result<(), Problem> {
    if headers.contains_key(header::ORIGIN) || headers.contains_key(SEC_FETCH_SITE) {
        return Err(cross_origin());
    }
    Ok(())
}

fn cross_origin() -> Problem {
    Problem::new(ErrorCode::CrossOrigin, "the request comes from a page of another site")
}

/// Refuses over TCP a body that does not say that it is JSON: a form or a plain text is what a page
/// can send anywhere without asking.
pub(super) fn check_media(headers: &HeaderMap) -> Result<(), Problem> {
    let is_empty = headers.get(header::CONTENT_LENGTH).is_none_or(|length| length == "0");
    if is_empty && !headers.contains_key(header::TRANSFER_ENCODING) {
        return Ok(());
    }
    let mut types = headers.get_all(header::CONTENT_TYPE).iter();
    let only = match (types.next(), types.next()) {
        (Some(only), None) => only.to_str().unwrap_or_default(),
        (_, _) => "",
    };
    let media = only.split(';').next().unwrap_or_default().trim();
    if media.eq_ignore_ascii_case(api::routes::JSON) {
        return Ok(());
    }
    Err(Problem::new(ErrorCode::MediaType, "the body does not say that it is JSON"))
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn head(uri: &str, headers: &[(&str, &str)]) -> Parts {
        let mut request = Request::builder().uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    fn told(listen: &str, uri: &str, headers: &[(&str, &str)]) -> Option<ErrorCode> {
        check(listen.parse().unwrap(), &head(uri, headers)).err().map(|problem| problem.code())
    }

    #[test]
    fn s_05_only_the_address_that_is_listened_on_is_a_host() {
        let listen = "127.0.0.1:7433";
        for host in ["127.0.0.1:7433", "localhost:7433"] {
            assert_eq!(told(listen, "/v1/panes", &[("host", host)]), None, "{host}");
        }
        assert_eq!(told("[::1]:7433", "/", &[("host", "[::1]:7433")]), None);
        for host in ["127.0.0.1", "localhost"] {
            assert_eq!(told("127.0.0.1:80", "/", &[("host", host)]), None, "{host}");
        }
        for host in [
            "",
            "evil.example",
            "evil.example:7433",
            "127.0.0.1",
            "localhost",
            "127.0.0.1:80",
            "127.0.0.1:07433",
            "127.0.0.1:7433:7433",
            "127.0.0.1:74330",
            "127.0.0.1.:7433",
            "127.0.0.2:7433",
            "127.1:7433",
            "0.0.0.0:7433",
            "0:7433",
            "2130706433:7433",
            "0x7f000001:7433",
            "0177.0.0.1:7433",
            "[::1]:7433",
            "[::ffff:127.0.0.1]:7433",
            "[::]:7433",
            "localhost.:7433",
            "LOCALHOST:7433",
            "Localhost:7433",
            "localhost:7433.",
            "localhost.localdomain:7433",
            "localhost.evil.example:7433",
            "127.0.0.1.nip.io:7433",
            "evil.example@127.0.0.1:7433",
            "127.0.0.1:7433@evil.example",
            "127.0.0.1:7433#evil",
            "127.0.0.1:7433/evil",
            "127.0.0.1 :7433",
            "127.0.0.1:7433, evil.example",
        ] {
            let code = told(listen, "/v1/panes", &[("host", host)]);
            assert_eq!(code, Some(ErrorCode::Misdirected), "{host}");
        }
        let (own, evil) = (("host", listen), ("host", "evil.example"));
        for headers in [&[][..], &[own, own], &[own, evil], &[evil, own]] {
            assert_eq!(told(listen, "/", headers), Some(ErrorCode::Misdirected), "{headers:?}");
        }
        for name in FORWARDED {
            let code = told(listen, "/", &[own, (name, "127.0.0.1")]);
            assert_eq!(code, Some(ErrorCode::Misdirected), "{name}");
        }
        for uri in ["http://127.0.0.1:7433/v1/panes", "http://evil.example/v1/panes"] {
            assert_eq!(told(listen, uri, &[own]), Some(ErrorCode::Misdirected), "{uri}");
        }
    }

    #[test]
    fn s_02_only_a_page_of_the_same_address_may_ask() {
        let listen = "127.0.0.1:7433";
        let with = |name, value| told(listen, "/", &[("host", listen), (name, value)]);
        assert_eq!(with("origin", "http://127.0.0.1:7433"), None);
        assert_eq!(with("sec-fetch-site", "same-origin"), None);
        assert_eq!(with("sec-fetch-site", "none"), None, "an address that a person typed");
        for origin in [
            "",
            "null",
            "http://127.0.0.1",
            "http://127.0.0.1:7434",
            "http://localhost:7433",
            "https://127.0.0.1:7433",
            "http://127.0.0.1:7433/",
            "http://127.0.0.1:7433.evil.example",
            "http://evil.example",
            "file://",
            "chrome-extension://abc",
        ] {
            assert_eq!(with("origin", origin), Some(ErrorCode::CrossOrigin), "{origin}");
        }
        for site in ["cross-site", "same-site", "", "Same-Origin"] {
            assert_eq!(with("sec-fetch-site", site), Some(ErrorCode::CrossOrigin), "{site}");
        }
    }

    #[test]
    fn s_02_a_body_has_to_say_that_it_is_json() {
        let told = |headers: &[(&str, &str)]| {
            check_media(&head("/", headers).headers).err().map(|problem| problem.code())
        };
        assert_eq!(told(&[]), None);
        assert_eq!(told(&[("content-length", "0")]), None);
        let body = ("content-length", "2");
        for media in ["application/json", "application/json; charset=utf-8", "Application/JSON"] {
            assert_eq!(told(&[body, ("content-type", media)]), None, "{media}");
        }
        for media in [
            "text/plain",
            "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=x",
            "text/plain; application/json",
            "application/jsonp",
            "",
        ] {
            let code = told(&[body, ("content-type", media)]);
            assert_eq!(code, Some(ErrorCode::MediaType), "{media}");
        }
        assert_eq!(told(&[body]), Some(ErrorCode::MediaType));
        assert_eq!(told(&[("transfer-encoding", "chunked")]), Some(ErrorCode::MediaType));
    }
}
