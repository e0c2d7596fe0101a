//! The API over TCP: closed by default, and open only to who was made for this address, comes from no
//! other site and shows a token that counts.

use std::fs;
use std::io::Write;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;

use api::rights::{Entrance, Who};
use api::routes::{Method, ROUTES, Route};
use api::tokens::TokenScope;
use serde_json::{Value, json};
use testkit::{Daemon, Http, Next, Reply, TestEnv, wait};

use crate::deck::{self, deck};

/// A world whose daemon listens at an address that no other test has.
pub(crate) struct Scene {
    pub(crate) daemon: Daemon,
    pub(crate) address: SocketAddr,
    pub(crate) env: TestEnv,
}

/// An address of this machine alone, by the number of this process: the whole of 127/8 is.
pub(crate) fn address() -> SocketAddr {
    let [_, a, b, c] = std::process::id().to_be_bytes();
    SocketAddr::new(IpAddr::from([127, a.wrapping_add(1), b, c]), 7433)
}

pub(crate) fn listening(env: TestEnv) -> Scene {
    let address = address();
    env.configure(&format!("[api]\nlisten = \"{address}\"\n"));
    let daemon = env.daemon();
    Scene { daemon, address, env }
}

impl Scene {
    /// Makes a token and gives its secret.
    #[track_caller]
    pub(crate) fn token(&self, name: &str, scope: TokenScope) -> String {
        let body = json!({ "name": name, "scope": scope });
        let made = self.daemon.api().post("/v1/tokens", &body).expect(201);
        deck::text(&made, "secret")
    }

    fn with(&self, token: &str) -> Http {
        Http::tcp(self.address, Some(token))
    }

    fn bare(&self) -> Http {
        Http::tcp(self.address, None)
    }

    /// What could have been changed by somebody.
    fn effects(&self) -> [Value; 4] {
        ["/v1/targets", "/v1/adapters", "/v1/actions", "/v1/tokens"].map(|path| {
            let answer = self.daemon.api().get(path).expect(200);
            let items = answer["items"].as_array().unwrap().iter();
            items
                .map(|it| {
                    let [name, enabled] = ["name", "enabled"].map(|field| it[field].clone());
                    json!([it["identity"], it["action_id"], name, enabled])
                })
                .collect()
        })
    }
}

/// Every path that is served, and some that are not, each with its method.
fn places() -> Vec<(&'static str, String)> {
    let served = ROUTES.iter().map(|it| (it.method.as_str(), api::routes::fill(it.path, "nobody")));
    let others = ["/", "/index.html", "/v2/panes", "/v1/../v1/panes"];
    served.chain(others.map(|path| ("GET", path.to_owned()))).collect()
}

fn code(reply: &Reply) -> String {
    let body = reply.json();
    body["error"]["code"].as_str().unwrap_or_else(|| panic!("no envelope: {body}")).to_owned()
}

#[test]
fn tcp_is_off_by_default_and_never_beyond_this_machine() {
    let env = deck();
    let daemon = env.daemon();
    assert_eq!(daemon.api().get("/v1/health").expect(200)["listen"], Value::Null);
    assert!(TcpStream::connect(address()).is_err());
    for outside in ["0.0.0.0:7433", "[::]:7433", "192.168.0.1:7433", "7433"] {
        env.configure(&format!("[api]\nlisten = \"{outside}\"\n"));
        let said = env.qd(&["config", "check"]).fails_with(1);
        assert!(said.contains("api.listen") && said.contains("127.0.0.1:7433"), "{said}");
    }
}

#[test]
fn it_listens_where_the_settings_say_as_soon_as_they_say_it() {
    let env = deck();
    let daemon = env.daemon();
    let health = || daemon.api().get("/v1/health").expect(200);
    let occupied = std::net::TcpListener::bind(address()).unwrap();
    env.configure(&format!("[api]\nlisten = \"{}\"\n", address()));
    wait::until("what is in the way is told", || {
        let warnings = health()["warnings"].clone();
        let mut codes = warnings.as_array().unwrap().iter().map(|it| it["code"].clone());
        codes.any(|code| code == "api_not_listening").then_some(())
    });
    drop(occupied);
    wait::until("it is tried again", || {
        (health()["listen"] == address().to_string()).then_some(())
    });
    assert_eq!(Http::tcp(address(), None).get("/v1/health").error(401), "E_UNAUTHENTICATED");
    assert_eq!(health()["warnings"], json!([]));
    env.configure("[api]\nlisten = \"\"\n");
    wait::until("nobody listens", || TcpStream::connect(address()).is_err().then_some(()));
    assert_eq!(health()["listen"], Value::Null);
}

#[test]
fn s_01_s_05_nothing_is_answered_that_was_meant_for_another_host() {
    let it = listening(deck());
    let admin = it.token("admin", TokenScope::Admin);
    let before = it.effects();
    let (own, port) = (it.address.to_string(), it.address.port());
    let hosts: Vec<String> = [
        "evil.example",
        "127.0.0.1",
        "localhost",
        "0.0.0.0:7433",
        "0:7433",
        "[::1]:7433",
        "[::]:7433",
        "localhost.:7433",
        "LOCALHOST:7433",
        "127.0.0.1.nip.io:7433",
        "2130706433:7433",
        "0x7f.1:7433",
        "evil.example@localhost:7433",
        "localhost:7433.",
        "localhost:07433",
        "x",
    ]
    .map(str::to_owned)
    .into_iter()
    .chain([format!("{own}.evil.example"), format!("{own}0"), format!("evil.example:{port}")])
    .collect();
    let mut asked = 0;
    for (method, path) in places() {
        for host in &hosts {
            for extra in [
                &[][..],
                &[("accept", "text/event-stream")],
                &[("upgrade", "websocket"), ("connection", "upgrade")],
                &[("origin", "http://evil.example")],
            ] {
                for client in [it.with(&admin), it.bare()] {
                    let headers = [&[("host", host.as_str())], extra].concat();
                    let reply = client.send(method, &path, &headers, b"{}");
                    assert_eq!(reply.status, 421, "{method} {path} {headers:?}: {}", reply.text());
                    asked += 1;
                }
            }
        }
        for name in ["x-forwarded-host", "x-forwarded-for", "forwarded", "via"] {
            let reply = it.with(&admin).send(method, &path, &[(name, &own)], b"{}");
            assert_eq!(code(&reply), "E_MISDIRECTED", "{method} {path} {name}");
            asked += 1;
        }
        for (uri, hosts) in [
            (format!("http://evil.example{path}"), vec![own.as_str()]),
            (format!("http://{own}{path}"), vec![own.as_str()]),
            (path.clone(), vec![&own, "evil.example"]),
            (path.clone(), vec!["evil.example", &own]),
            (path.clone(), vec![]),
        ] {
            let hosts: String = hosts.iter().map(|host| format!("host: {host}\r\n")).collect();
            let head = format!(
                "{method} {uri} HTTP/1.1\r\n{hosts}authorization: Bearer {admin}\r\n\
                 content-length: 0\r\n\r\n"
            );
            let status = it.bare().raw(head.as_bytes()).unwrap().status;
            // A request without any host is no request of this version of HTTP.
            assert!(status == 421 || (hosts.is_empty() && status == 400), "{head}: {status}");
            asked += 1;
        }
    }
    println!("{asked} requests for other hosts, none answered");
    assert_eq!(it.effects(), before);
}

#[test]
fn s_02_s_03_no_page_of_another_site_changes_or_reads_anything() {
    let it = listening(deck());
    let admin = it.token("admin", TokenScope::Admin);
    let before = it.effects();
    let own = it.address.to_string();
    let sites: Vec<(&str, String)> =
        ["null", "http://evil.example", "https://evil.example", "file://"]
            .map(str::to_owned)
            .into_iter()
            .chain([
                format!("https://{own}"),
                format!("http://{own}0"),
                "http://localhost:3000".into(),
            ])
            .map(|origin| ("origin", origin))
            .chain([
                ("sec-fetch-site", "cross-site".into()),
                ("sec-fetch-site", "same-site".into()),
            ])
            .collect();
    let media = ["application/json", "text/plain", "application/x-www-form-urlencoded", ""];
    let mut asked = 0;
    for (method, path) in places() {
        for (name, value) in &sites {
            for media in media {
                for extra in [("accept", "text/event-stream"), ("upgrade", "websocket")] {
                    for client in [it.with(&admin), it.bare(), Http::new(it.env.socket())] {
                        let headers = [(*name, value.as_str()), ("content-type", media), extra];
                        let reply = client.send(method, &path, &headers, b"{}");
                        assert_eq!(code(&reply), "E_CROSS_ORIGIN", "{method} {path} {headers:?}");
                        assert_eq!(reply.header("access-control-allow-origin"), None);
                        asked += 1;
                    }
                }
            }
        }
        // Also what names no site: a form cannot say that it is JSON.
        for media in ["text/plain", "application/x-www-form-urlencoded", ""] {
            let headers = [("content-type", media)];
            let reply = it.with(&admin).send(method, &path, &headers, b"{}");
            assert_eq!(code(&reply), "E_MEDIA_TYPE", "{method} {path} {media}");
            asked += 1;
        }
        let asking = [("origin", "http://evil.example"), ("access-control-request-method", method)];
        let reply = it.with(&admin).send("OPTIONS", &path, &asking, b"");
        assert_eq!(reply.status, 403, "{path}");
    }
    println!("{asked} requests of other sites, none answered");
    assert_eq!(it.effects(), before);
    let origin = format!("http://{own}");
    let same = it.with(&admin).send("GET", "/v1/panes", &[("origin", &origin)], b"");
    assert_eq!(same.status, 200, "its own page may: {}", same.text());
    assert_eq!(same.header("set-cookie"), None);
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("cache-control", "no-store"),
        ("x-frame-options", "DENY"),
    ] {
        assert_eq!(same.header(name), Some(value));
    }
}

#[test]
fn s_04_s_07_without_a_token_that_counts_nothing_is_answered_and_guessing_is_slowed() {
    let it = listening(deck());
    let token = it.token("mine", TokenScope::Act);
    let first = it.bare().get("/v1/panes");
    assert_eq!(first.header("www-authenticate"), Some("Bearer realm=\"quarterdeck\""));
    assert_eq!(first.error(401), "E_UNAUTHENTICATED");
    let refused = |reply: &Reply, what: &str| {
        let code = code(reply);
        let known = code == "E_UNAUTHENTICATED" || code == "E_TOO_MANY_FAILURES";
        assert!(known, "{what}: {} {code}", reply.status);
        if reply.status == 429 {
            assert_eq!(reply.header("retry-after"), Some("1"), "{what}");
        }
        reply.status
    };
    for (method, path) in places() {
        let reply = it.bare().send(method, &path, &[], b"");
        refused(&reply, &path);
    }
    let guesses: u32 = std::env::var("QD_GUESSES").map_or(500, |it| it.parse().unwrap());
    let limited = (0..guesses)
        .filter(|number| {
            // Right but for its end, its beginning, its length or its place.
            let guess = match number % 4 {
                0 => format!("{}{:08x}", &token[..token.len() - 8], number),
                1 => format!("qdt_{number:032x}_{}", &token[token.len() - 64..]),
                2 => token[..token.len() - 1 - (*number as usize % 60)].to_owned(),
                _ => format!("{token}{number}"),
            };
            refused(&it.with(&guess).get("/v1/panes"), &guess) == 429
        })
        .count();
    assert!(limited > guesses as usize / 2, "{limited} of {guesses}");
    let query = format!("/v1/panes?token={token}&access_token={token}");
    refused(&it.bare().get(&query), "in the query");
    let headers = [("cookie", format!("token={token}")), ("x-api-key", token.clone())];
    let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
    refused(&it.bare().send("GET", "/v1/panes", &headers, b""), "in other headers");
    assert_eq!(it.with(&token).get("/v1/panes").status, 200, "and it locks nobody out");
}

/// Whether a token of that scope is let through to the handler of a route.
fn is_let_in(it: &Scene, token: &str, route: &Route) -> bool {
    let path = api::routes::fill(route.path, "nobody");
    let path = if route.path == api::routes::WATCH { format!("{path}?once=true") } else { path };
    let client = it.with(token);
    let json = [("content-type", "application/json")];
    let reply = match route.method {
        Method::Get => client.get(&path),
        Method::Post => client.send("POST", &path, &json, b"{\"nothing\":1}"),
        Method::Delete => client.delete(&path),
    };
    assert_ne!(reply.status, 401, "{} {path}", route.method);
    reply.status != 403
}

#[test]
fn s_07_each_scope_has_what_its_rights_say_on_every_route() {
    let it = listening(deck());
    for scope in TokenScope::ALL.iter().copied() {
        let token = it.token(scope.as_str(), scope);
        for route in ROUTES {
            let who = Who { entrance: Entrance::Token(scope), below_agent: false };
            let wanted = route.right().is_had_by(who);
            assert_eq!(is_let_in(&it, &token, route), wanted, "{scope}: {}", route.operation);
        }
    }
    let read = it.with(&it.token("looker", TokenScope::Read));
    let body = json!({ "request_ref": "r", "ref": "%0", "text": "x" });
    let refused = read.post("/v1/actions/send", &body);
    assert_eq!(refused.json()["error"]["details"]["needs"], "act", "{}", refused.text());
}

#[test]
fn s_07_a_token_counts_no_more_once_it_is_revoked_or_expired() {
    let it = listening(deck());
    let token = it.token("phone", TokenScope::Read);
    let again = json!({ "name": "phone", "scope": "admin" });
    assert_eq!(it.daemon.api().post("/v1/tokens", &again).error(409), "E_TOKEN_EXISTS");
    let mut watch = it.with(&token).stream("/v1/watch", &[]);
    watch.frame();
    let listed = deck::items(it.daemon.api(), "/v1/tokens");
    assert_eq!([&listed[0]["name"], &listed[0]["scope"]], ["phone", "read"]);
    wait::until("its use is noted", || {
        let listed = deck::items(it.daemon.api(), "/v1/tokens");
        listed[0]["last_used_at"].is_string().then_some(())
    });
    it.env.qd(&["token", "revoke", "phone"]).success();
    assert_eq!(it.with(&token).get("/v1/panes").error(401), "E_UNAUTHENTICATED");
    let ended = wait::within(wait::BOUND, || match watch.next_line(wait::BOUND) {
        Next::Line(_) => None,
        ended @ (Next::Ended | Next::Broken | Next::Silent) => Some(ended),
    });
    assert!(matches!(ended, Some(Next::Ended | Next::Broken)), "{ended:?}");
    assert_eq!(it.daemon.api().delete("/v1/tokens/phone").error(404), "E_TOKEN_NOT_FOUND");
    let body = json!({ "name": "short", "scope": "read", "expires_in_ms": 1_500 });
    let short = deck::text(&it.daemon.api().post("/v1/tokens", &body).expect(201), "secret");
    let mut watch = it.with(&short).stream("/v1/watch", &[]);
    watch.frame();
    wait::until("it has expired", || {
        (it.with(&short).get("/v1/panes").status != 200).then_some(())
    });
    while let Next::Line(_) = watch.next_line(wait::BOUND) {}
    let listed = deck::items(it.daemon.api(), "/v1/tokens");
    assert_eq!(listed[0]["is_expired"], true);
}

#[test]
fn s_07_a_token_outlives_a_kill_and_a_revoked_one_does_not_come_back() {
    let Scene { daemon, address, env } = listening(deck());
    let it = Scene { daemon, address, env };
    let (kept, revoked) = (it.token("kept", TokenScope::Read), it.token("gone", TokenScope::Admin));
    it.daemon.api().delete("/v1/tokens/gone").expect(204);
    let Scene { daemon, env, .. } = it;
    daemon.kill9();
    let it = Scene { daemon: env.daemon(), address, env };
    assert_eq!(it.with(&kept).get("/v1/panes").status, 200);
    assert_eq!(it.with(&revoked).get("/v1/panes").error(401), "E_UNAUTHENTICATED");
}

#[test]
fn s_06_a_token_is_shown_once_and_stands_nowhere() {
    let env = deck();
    env.configure(&format!("[api]\nlisten = \"{}\"\n[log]\nlevel = \"trace\"\n", address()));
    let it = Scene { daemon: env.daemon(), address: address(), env };
    let pane = it.env.tmux().session("work", "exec cat");
    deck::settled(it.daemon.api(), &pane, "cat");
    let token = it.token("canary", TokenScope::Admin);
    let (secret, http) = (token.rsplit('_').next().unwrap().to_owned(), it.with(&token));
    let elsewhere = [
        http.get("/v1/panes"),
        http.get("/v1/tokens"),
        http.get("/v1/health"),
        http.get(&format!("/v1/panes?token={token}")),
        http.get(&format!("/{token}")),
        it.bare().get(&format!("/{token}")),
        it.daemon.api().get("/v1/tokens"),
        http.send("POST", "/v1/events", &[("content-type", "application/json")], token.as_bytes()),
        http.delete("/v1/tokens/nobody"),
    ];
    for reply in &elsewhere {
        // What a client wrote into its own request is repeated to it and to nobody else.
        let own = reply.status == 404 || reply.status == 400;
        assert!(own || !reply.text().contains(&secret), "{}", reply.text());
    }
    // An agent that found it tells of it, in a title, a prompt and a hook.
    it.env.tmux().ok(&["select-pane", "-t", &pane, "-T", &format!("t {token}")]);
    let event = json!({
        "event_type": "found", "source": "hook", "dedupe_key": "k", "target": "local",
        "pane_id": pane, "raw_payload": format!("{{\"prompt\":\"use {token} now\"}}"),
    });
    it.daemon.api().post("/v1/events", &event).expect(202);
    it.env.qd(&["send", &pane, "--text", &format!("echo {token}")]).success();
    deck::pane_where(it.daemon.api(), &pane, "titled", |it| {
        it["pane_title"].as_str().is_some_and(|title| title.starts_with("t "))
    });
    let sent = it.env.qd(&["history", "--json"]).success();
    assert!(!sent.contains(&secret), "{sent}");
    let Scene { daemon, env, .. } = it;
    assert_eq!(daemon.stop(), 0);
    let mut found = Vec::new();
    holding(&env.home(), &secret, &mut found);
    assert!(found.is_empty(), "the secret stands in {found:?}");
}

/// The files below a folder that hold a text.
fn holding(folder: &std::path::Path, text: &str, found: &mut Vec<std::path::PathBuf>) {
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if entry.file_type().unwrap().is_dir() {
            holding(&path, text, found);
        } else if let Ok(bytes) = fs::read(&path)
            && bytes.windows(text.len()).any(|window| window == text.as_bytes())
        {
            found.push(path);
        }
    }
}

#[test]
fn qd_asks_over_tcp_with_a_token_and_is_recorded_by_it() {
    let it = listening(deck());
    let pane = it.env.tmux().session("work", "exec cat");
    deck::settled(it.daemon.api(), &pane, "cat");
    let made = it.env.qd(&["token", "create", "laptop", "--scope", "act"]).success();
    let file = it.env.path("token");
    fs::write(&file, &made).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let url = format!("http://{}", it.address);
    let qd = |arguments: &[&str]| {
        it.env.invoke(arguments).env("QD_URL", &url).env("QD_TOKEN_FILE", &file).run()
    };
    assert!(qd(&["ls"]).success().contains("cat"));
    qd(&["send", &pane, "--text", "over tcp", "--enter"]).success();
    it.env.tmux().shows(&pane, "over tcp");
    let uid = rustix_uid();
    let history = it.env.qd(&["history", "--json"]).json();
    let by = deck::text(&history["items"][0], "requested_by");
    assert!(by.starts_with("token:name=laptop,id=tk-"), "{by}");
    assert!(by.contains(&format!(",uid={uid},pid=")), "{by}");
    let said = qd(&["token", "list"]).fails_with(1);
    assert!(said.contains("E_FORBIDDEN") && said.contains("not for admin"), "{said}");
    let said = qd(&["target", "add", "other", "--tmux-socket", "other"]).fails_with(1);
    assert!(said.contains("E_FORBIDDEN") && said.contains("own socket"), "{said}");
    let said = qd(&["daemon", "stop"]).fails_with(1);
    assert!(said.contains("E_FORBIDDEN"), "{said}");
    let listed = it.env.qd(&["token", "list"]).success();
    assert!(listed.contains("laptop") && listed.contains(&it.address.to_string()), "{listed}");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    assert!(qd(&["ls"]).fails_with(1).contains("open to others"));
    let bare = it.env.invoke(&["ls"]).env("QD_URL", &url).run().fails_with(1);
    assert!(bare.contains("E_UNAUTHENTICATED") && bare.contains("QD_TOKEN_FILE"), "{bare}");
    assert_eq!(it.daemon.stop(), 0);
    let gone = it.env.invoke(&["ls"]).env("QD_URL", &url).env("QD_TOKEN", made.trim()).run();
    assert!(gone.fails_with(3).contains("no daemon answers"), "and none is started");
}

fn rustix_uid() -> u32 {
    std::os::unix::fs::MetadataExt::uid(&fs::metadata("/proc/self").unwrap())
}

#[test]
fn who_was_turned_away_stands_in_the_journal() {
    let it = listening(deck());
    let read = it.with(&it.token("looker", TokenScope::Read));
    let body = json!({ "request_ref": "r", "ref": "%0", "text": "x" });
    assert_eq!(read.post("/v1/actions/send", &body).error(403), "E_FORBIDDEN");
    assert_eq!(it.bare().get("/v1/panes").error(401), "E_UNAUTHENTICATED");
    let denied = || {
        let rows = it.env.sqlite("SELECT actor, payload FROM journal WHERE kind = 'access_denied'");
        let told = |text: &str| rows.contains(text);
        (told("token:name=looker") && told("\"send\"") && told("stranger") && told("listPanes"))
            .then_some(())
    };
    wait::until("both are in the journal", denied);
    assert_eq!(it.daemon.stop(), 0);
    it.env.qd(&["journal", "verify"]).success();
}

#[test]
fn s_30_who_opens_many_connections_keeps_out_nobody_else() {
    let it = listening(deck());
    let token = it.token("known", TokenScope::Read);
    let known = it.with(&token);
    let mut watch = known.stream("/v1/watch", &[]);
    watch.frame();
    // Heads that are begun and never ended, and connections that say nothing at all.
    let many: u32 = std::env::var("QD_CONNECTIONS").map_or(2_000, |it| it.parse().unwrap());
    let mut held = Vec::new();
    for number in 0..many {
        let mut socket = TcpStream::connect(it.address).unwrap();
        if number % 2 == 0 {
            socket.write_all(b"GET /v1/panes HTTP/1.1\r\nhost: ").unwrap();
        }
        if held.len() < 500 {
            held.push(socket);
        }
        if number % 200 == 0 {
            assert_eq!(known.get("/v1/panes").status, 200, "after {number}");
            assert_eq!(it.daemon.api().get("/v1/panes").status, 200, "after {number}");
        }
    }
    // Whoever was served before is served still.
    let pane = it.env.tmux().session("new", "exec cat");
    watch.frame_where("the new pane", |frame| frame.to_string().contains(&format!("\"{pane}\"")));
    let health = it.daemon.api().get("/v1/health").expect(200);
    assert_eq!(health["status"], "ok");
}
