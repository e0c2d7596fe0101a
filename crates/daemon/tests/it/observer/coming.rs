//! Our client comes to a server that has something to tell, or goes before it has quite come. Up to
//! tmux 3.6 either ended the server of whoever let it introduce itself in pieces.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use daemon::targets::Target;
use daemon::targets::process::{ControlProcess, Environment};
use testkit::{TestEnv, process};
use tmux::hub::Hub;
use tokio::io::AsyncReadExt as _;

use super::scene::{INSTALLATION, Reach, Setting, env};

const COMINGS: u64 = 200;

/// A server with a session for our client, and how the client gets there.
struct World {
    env: TestEnv,
    target: Target,
    hub: Hub,
    server: u32,
}

impl World {
    fn new() -> Self {
        let env = env();
        let hub = Hub::new(INSTALLATION).unwrap();
        env.tmux().session("work", "exec cat");
        env.tmux().session(hub.name(), "exec cat");
        let server = env.tmux().pid();
        let (config, folder) = (Setting::new(Reach::Direct).config(), std::env::temp_dir());
        let socket = env.tmux().show("work:", "#{socket_path}");
        let environment = Environment::of_this_process();
        let target = Target::local(&socket, &config, environment, &folder);
        Self { env, target, hub, server }
    }

    fn comes(&self) -> ControlProcess {
        self.target.control(&self.hub).expect("it starts")
    }

    #[track_caller]
    fn is_still_the_same(&self) {
        assert!(process::alive(self.server), "the server is gone");
        assert_eq!(self.env.tmux().pid(), self.server);
    }
}

#[tokio::test]
async fn a_client_that_goes_while_it_comes_ends_no_server() {
    let world = World::new();
    for nth in 0..COMINGS {
        let client = world.comes();
        // Nothing is waited for here: every client is ended at another moment of its coming.
        tokio::time::sleep(Duration::from_millis(nth % 6)).await;
        client.kill().await;
    }
    world.is_still_the_same();
}

#[test]
fn a_server_that_has_something_to_tell_while_a_client_comes_goes_on() {
    let world = World::new();
    let over = AtomicBool::new(false);
    let renames = || {
        while !over.load(Ordering::Relaxed) {
            world.env.tmux().ok(&["rename-session", "-t", "work", "work"]);
        }
    };
    let comings = async {
        for _ in 0..COMINGS {
            let mut client = world.comes();
            let mut word = [0; 1];
            client.stdout.read_exact(&mut word).await.expect("it is greeted");
            client.kill().await;
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(renames);
        scope.spawn(renames);
        runtime.block_on(comings);
        over.store(true, Ordering::Relaxed);
    });
    world.is_still_the_same();
}
