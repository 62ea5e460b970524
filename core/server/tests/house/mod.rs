//! Modules loaded from files, with the switch's part played by the test.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use koukan::config::{self, Config};
use koukan::module::shelf::Shelf;
use koukan::modules::{Modules, ModulesError};
use koukan_base::{CallId, OpId, ShardId, Time};
use koukan_switch::{
    AppEvent, InstanceId, ModuleOrder, ModuleRequest, Note, Now, OpStatus, Operation,
};
use mio::{Poll, Token, Waker};

/// A directory with a configuration, gone at the end.
pub(crate) struct Room {
    pub(crate) directory: PathBuf,
}

static ROOMS: AtomicU64 = AtomicU64::new(0);

impl Room {
    pub(crate) fn new() -> Self {
        let number = ROOMS.fetch_add(1, Ordering::Relaxed);
        let name = format!("koukan-modules-{}-{number}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        fs::create_dir_all(directory.join("conf")).unwrap();
        fs::create_dir_all(directory.join("data")).unwrap();
        Self { directory }
    }

    /// Compiles the module in C with some faults.
    pub(crate) fn probe(&self, faults: &[&str]) -> PathBuf {
        self.compiled("probe", faults)
    }

    /// Compiles a module in C.
    pub(crate) fn compiled(&self, name: &str, faults: &[&str]) -> PathBuf {
        let file = self.directory.join(format!("{name}.so"));
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let output = Command::new("cc")
            .args(["-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror"])
            .args(["-shared", "-fPIC", "-fvisibility=hidden", "-I"])
            .arg(here.join("../abi/include"))
            .args(faults)
            .arg("-o")
            .arg(&file)
            .arg(here.join(format!("tests/{name}.c")))
            .arg("-pthread")
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        file
    }

    pub(crate) fn load(&self, modules: &[(&str, &Path, &str)]) -> Result<Host, ModulesError> {
        self.load_with(modules, Vec::new())
    }

    /// Loads modules over what an earlier run wrote down.
    pub(crate) fn load_with(
        &self,
        modules: &[(&str, &Path, &str)],
        notes: Vec<Note>,
    ) -> Result<Host, ModulesError> {
        let config = self.config(modules);
        let poll = Poll::new().unwrap();
        let waker = Arc::new(Waker::new(poll.registry(), Token(0)).unwrap());
        let shelf = Arc::new(Shelf::new(config.objects.clone(), notes, None));
        let modules = Modules::load(&config, waker, shelf, None)?;
        Ok(Host { modules, poll, next: 1 })
    }

    /// The configuration with these modules, each in the role of its name.
    pub(crate) fn config(&self, modules: &[(&str, &Path, &str)]) -> Config {
        let mut text = String::from("[server]\ndata = \"data\"\n");
        for (role, path, grants) in modules {
            let path = path.display();
            text += &format!("[module.{role}]\npath = \"{path}\"\nrole = \"{role}\"\n{grants}\n");
        }
        fs::write(self.directory.join("conf/koukan.toml"), text).unwrap();
        config::load(&self.directory.join("conf")).unwrap()
    }

    pub(crate) fn refusal(&self, path: &Path, grants: &str) -> String {
        match self.load(&[("probe", path, grants)]) {
            Ok(_) => panic!("it was loaded"),
            Err(error) => error.to_string(),
        }
    }

    pub(crate) fn copies(&self) -> usize {
        fs::read_dir(self.directory.join("data/modules")).unwrap().count()
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        // The reaper may take a build's copy out at the same moment; what stays lies in the
        // temporary directory.
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// The loaded modules and the switch's part, played by the test.
pub(crate) struct Host {
    pub(crate) modules: Modules,
    pub(crate) poll: Poll,
    next: u64,
}

pub(crate) const NOW: Now =
    Now { time: Time::from_millis(1_000), date: jiff::Timestamp::UNIX_EPOCH };
pub(crate) const CALL: &str = "grants = [\"call\"]";

impl Host {
    pub(crate) fn start(&mut self, role: &str, application: &str, arguments: &str) -> InstanceId {
        let instance = InstanceId(self.next);
        let call = CallId::new(ShardId(0), self.next);
        self.next += 1;
        self.modules.handle(
            NOW,
            ModuleOrder::Start {
                instance,
                call,
                tenant: "acme".into(),
                module: role.into(),
                application: application.into(),
                arguments: arguments.into(),
            },
        );
        instance
    }

    pub(crate) fn event(&mut self, instance: InstanceId, event: AppEvent) {
        self.modules.handle(NOW, ModuleOrder::Event { instance, event });
    }

    pub(crate) fn done(&mut self, instance: InstanceId, op: OpId, status: OpStatus, text: &str) {
        self.event(instance, AppEvent::OpDone { op, status, text: text.into() });
    }

    pub(crate) fn destroy(&mut self, instance: InstanceId) {
        self.modules.handle(NOW, ModuleOrder::Destroy { instance });
    }

    pub(crate) fn request(&mut self) -> Option<ModuleRequest> {
        self.modules.poll_request(NOW)
    }

    /// The next request, which starts an operation.
    pub(crate) fn operation(&mut self) -> (OpId, Operation) {
        match self.request() {
            Some(ModuleRequest::Start { op, operation, .. }) => (op, operation),
            other => panic!("no operation but {other:?}"),
        }
    }

    /// The next request, which is the end.
    pub(crate) fn ended(&mut self) -> Result<(), String> {
        match self.request() {
            Some(ModuleRequest::Ended { result, .. }) => result.map_err(|why| why.to_string()),
            other => panic!("no end but {other:?}"),
        }
    }

    /// Runs an application that fails at once, and gives its words.
    pub(crate) fn words(&mut self, role: &str, application: &str) -> String {
        self.start(role, application, "{}");
        self.ended().unwrap_err()
    }

    pub(crate) fn assert_empty(&mut self) {
        assert_eq!(self.request(), None);
        assert!(!self.modules.has_requests());
        for module in self.modules.list(NOW.time) {
            assert_eq!(module.instances, 0, "{} has instances", module.name);
        }
    }
}

/// What cargo builds, built when it is missing or old.
pub(crate) fn built(arguments: &[&str], file: &str) -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let status = Command::new(env!("CARGO"))
        .args(["build", "--quiet"])
        .args(arguments)
        .arg("--target-dir")
        .arg(target)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status()
        .unwrap();
    assert!(status.success());
    target.join("debug").join(file)
}

pub(crate) fn announcements() -> PathBuf {
    built(&["-p", "koukan-announcements"], "libannouncements.so")
}

pub(crate) fn faulty() -> PathBuf {
    built(&["-p", "koukan-sdk", "--example", "faulty"], "examples/libfaulty.so")
}
