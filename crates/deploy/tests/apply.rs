//! Whole packages, with real files and scripts, stopped between any two records.

use std::collections::BTreeMap;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use deploy::script::Launch;
use deploy::{Application, ApplyError, Event, MachineFacts, State, apply, installed};
use package::label::Labels;
use package::receipt::Placed;
use package::{
    Action, Condition, FileSet, Limits, OnFailure, OnInterrupt, Outcome, Package, Placing, Receipt,
    Requirement, Script, Step, Verdict,
};
use tempfile::TempDir;

/// The example `run-script`, which is built with the tests.
fn helper() -> PathBuf {
    let tests = std::env::current_exe().expect("a test");
    let path = tests.ancestors().nth(2).expect("a directory").join("examples/run-script");
    assert!(path.exists(), "{} is built by `cargo build --examples`", path.display());
    path
}

struct World {
    directory: TempDir,
    launch: Launch,
    machine: MachineFacts,
}

impl World {
    fn new() -> Self {
        let directory = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
        let world = Self {
            directory: directory.expect("a directory"),
            launch: Launch { program: helper(), arguments: Vec::new() },
            machine: MachineFacts::here(Labels::new()),
        };
        for name in ["tree/contents/0", "tree/contents/1", "machine/app"] {
            fs::create_dir_all(world.path(name)).expect("made");
        }
        for (name, contents) in [
            ("tree/contents/0/one", "new"),
            ("tree/contents/1/two", "new"),
            ("machine/app/one", "old"),
        ] {
            fs::write(world.path(name), contents).expect("written");
        }
        world
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn apply_and(
        &self,
        package: &Package,
        tell: &mut dyn FnMut(Event<'_>),
    ) -> Result<Receipt, ApplyError> {
        self.deliver(package, None, tell)
    }

    fn deliver(
        &self,
        package: &Package,
        delivery: Option<&str>,
        tell: &mut dyn FnMut(Event<'_>),
    ) -> Result<Receipt, ApplyError> {
        let (tree, state) = (self.path("tree"), State::take(&self.path("state"))?);
        let Self { launch, machine, .. } = self;
        apply(&Application { package, tree: &tree, machine, state: &state, launch, delivery }, tell)
    }

    fn apply(&self, package: &Package) -> Receipt {
        self.apply_and(package, &mut |_| {}).expect("applied")
    }

    /// Everything on the machine, hidden stages too.
    fn shown(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut shown = BTreeMap::new();
        show(&self.path("machine"), &mut shown);
        shown
    }

    fn files(&self, contents: &str, target: &str) -> Step {
        step(Action::Files(FileSet {
            contents: contents.into(),
            target: text(&self.path(target)),
            placing: Placing::Replace,
            owner: None,
            mode: None,
        }))
    }

    /// A script that says in a file of the test that it ran.
    fn script(&self, line: &str) -> Step {
        let line = format!("echo ran >> {}; {line}", self.path("ran").display());
        step(Action::Script(Script {
            file: None,
            interpreter: ["/bin/sh".into(), "-c".into(), line].into(),
            arguments: Vec::new(),
            environment: BTreeMap::new(),
            directory: None,
            user: None,
            timeout: Duration::from_secs(120),
            output_bytes_max: 1000,
            expected: vec![0],
            on_interrupt: OnInterrupt::Fail,
            writes: Some(vec!["/".into()]),
            limits: Limits::default(),
        }))
    }

    fn ran(&self) -> usize {
        fs::read_to_string(self.path("ran")).map_or(0, |text| text.lines().count())
    }

    /// What is left in the state directory of a package that is over.
    fn left(&self) -> Vec<String> {
        let entries = fs::read_dir(self.path("state")).expect("there");
        let mut names: Vec<_> = entries
            .map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8"))
            .filter(|name| {
                !["lock", "running", "receipts", "installed", "deliveries"].contains(&&**name)
            })
            .collect();
        names.sort();
        names
    }
}

fn show(directory: &Path, shown: &mut BTreeMap<PathBuf, Vec<u8>>) {
    for entry in fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            shown.insert(path.clone(), Vec::new());
            show(&path, shown);
        } else {
            shown.insert(path.clone(), fs::read(&path).expect("readable"));
        }
    }
}

fn text(path: &Path) -> String {
    path.to_str().expect("UTF-8").to_owned()
}

fn step(action: Action) -> Step {
    let when = Condition::default();
    Step { name: String::new(), when, on_failure: OnFailure::RollBack, action }
}

fn package(steps: Vec<Step>) -> Package {
    let named = |(number, step)| Step { name: format!("step {number}"), ..step };
    Package {
        name: "tools".into(),
        version: "2".into(),
        description: String::new(),
        requires: Vec::new(),
        conflicts: Vec::new(),
        when: Condition::default(),
        steps: steps.into_iter().enumerate().map(named).collect(),
    }
}

fn elsewhere() -> Condition {
    Condition { os: vec!["plan9".into()], ..Condition::default() }
}

#[test]
fn steps_are_done_in_order_and_the_receipt_tells_of_each() {
    let world = World::new();
    let sees = format!("cat {}", world.path("machine/app/one").display());
    let steps = vec![world.files("contents/0", "machine/app"), world.script(&sees)];
    let all = package(steps);
    let receipt = world.apply(&all);
    assert_eq!(receipt.verdict, Verdict::Passed);
    let placed = Placed { changed: 1, bytes: 3, ..Placed::default() };
    assert_eq!(receipt.steps[0].outcome, Outcome::Placed(placed));
    let Outcome::Ran(ran) = &receipt.steps[1].outcome else { panic!("{receipt:?}") };
    assert_eq!(ran.output.bytes, b"new");
    assert!(receipt.steps.iter().all(|step| step.begun_ms > 0));
    assert_eq!(deploy::receipt(&world.path("state"), "tools").expect("kept"), receipt);
    assert_eq!(installed(&world.path("state")).expect("there")["tools"], "2");
    assert_eq!(world.left(), Vec::<String>::new());
    assert_eq!(world.shown().len(), 2, "nothing hidden is left");

    // Again, everything is as it should be already, and the script runs again.
    let receipt = world.apply(&all);
    assert_eq!(receipt.verdict, Verdict::Passed);
    assert_eq!(receipt.steps[0].outcome, Outcome::Placed(Placed { kept: 1, ..Placed::default() }));
    assert_eq!(world.ran(), 2);
}

#[test]
fn a_failed_script_puts_the_file_sets_back() {
    let world = World::new();
    let before = world.shown();
    let steps = vec![
        world.files("contents/0", "machine/app"),
        world.files("contents/1", "machine/fresh/deep"),
        world.script("exit 7"),
        world.script("true"),
    ];
    let receipt = world.apply(&package(steps));
    let Verdict::Failed(reason) = &receipt.verdict else { panic!("{receipt:?}") };
    assert_eq!(reason, "step \"step 2\": it ended with code 7");
    for step in &receipt.steps[..2] {
        assert!(matches!(step.outcome, Outcome::PutBack(_)), "{step:?}");
    }
    assert_eq!((&receipt.steps[3].outcome, world.ran()), (&Outcome::LeftOut, 1));
    assert_eq!(world.shown(), before);
    assert_eq!(world.left(), Vec::<String>::new());
    assert!(installed(&world.path("state")).expect("readable").is_empty());
}

#[test]
fn what_is_for_another_system_is_not_attempted() {
    let world = World::new();
    let before = world.shown();
    let foreign = Step { when: elsewhere(), ..world.script("true") };
    let receipt = world.apply(&package(vec![foreign, world.files("contents/0", "machine/app")]));
    assert_eq!(receipt.verdict, Verdict::Passed);
    assert!(matches!(receipt.steps[0].outcome, Outcome::NotApplicable(_)), "{receipt:?}");
    assert!(matches!(receipt.steps[1].outcome, Outcome::Placed(_)), "{receipt:?}");
    assert_eq!(world.ran(), 0);

    let world = World::new();
    let all = package(vec![world.script("true"), world.files("contents/0", "machine/app")]);
    let receipt = world.apply(&Package { when: elsewhere(), ..all });
    assert!(matches!(receipt.verdict, Verdict::NotApplicable(_)), "{receipt:?}");
    assert_eq!((world.shown().len(), world.ran()), (before.len(), 0));
}

#[test]
fn what_a_package_needs_or_cannot_be_with_is_asked_before_anything_is_touched() {
    let world = World::new();
    let before = world.shown();
    let base = package(vec![world.files("contents/0", "machine/app")]);
    let needs = |version: Option<&str>| Package {
        requires: vec![Requirement { name: "base".into(), version: version.map(Into::into) }],
        ..base.clone()
    };
    let failed = |package: &Package, why: &str| {
        let receipt = world.apply(package);
        let Verdict::Failed(reason) = &receipt.verdict else { panic!("{receipt:?}") };
        assert!(reason.contains(why), "{reason}");
        assert_eq!(receipt.steps[0].outcome, Outcome::LeftOut);
        assert_eq!(world.shown(), before);
    };
    failed(&needs(None), "needs base");
    world.apply(&Package { name: "base".into(), version: "1".into(), ..package(Vec::new()) });
    failed(&needs(Some("2")), "1 is here");
    failed(&Package { conflicts: vec!["base".into()], ..base.clone() }, "cannot be where base is");
    assert_eq!(world.apply(&needs(Some("1"))).verdict, Verdict::Passed);
}

#[test]
fn a_stop_between_any_two_records_is_gone_on_from() {
    for fails in [false, true] {
        let make = |world: &World, again| {
            let mut script = world.script(if fails { "exit 1" } else { "true" });
            if let (Action::Script(script), true) = (&mut script.action, again) {
                script.on_interrupt = OnInterrupt::Repeat;
            }
            let files = world.files("contents/0", "machine/app");
            package(vec![files, world.files("contents/1", "machine/two"), script])
        };
        for again in [false, true] {
            for stop in 0.. {
                let world = World::new();
                let (before, all) = (world.shown(), make(&world, again));
                let (mut count, mut stopped_at_script) = (0, false);
                let stopped = catch_unwind(AssertUnwindSafe(|| {
                    world.apply_and(&all, &mut |event| {
                        stopped_at_script = matches!(event, Event::Begun(2));
                        assert!(count < stop, "stopped, as the test wants it");
                        count += 1;
                    })
                }));
                if stopped.is_ok() {
                    assert!(stop >= 6, "{stop} points only");
                    break;
                }
                // Another package has to wait.
                let other = Package { name: "other".into(), ..package(Vec::new()) };
                let refused = world.apply_and(&other, &mut |_| {});
                assert!(matches!(refused, Err(ApplyError::Unfinished { .. })), "{refused:?}");

                let mut resumed = false;
                let receipt = world.apply_and(&all, &mut |event| {
                    resumed |= matches!(event, Event::Resumed);
                });
                let receipt = receipt.expect("applied");
                assert!(resumed);
                let passes = !fails && (again || !stopped_at_script);
                assert_eq!(receipt.verdict == Verdict::Passed, passes, "{stop}: {receipt:?}");
                assert!(world.ran() <= 1, "{stop}");
                if stopped_at_script && !again {
                    assert_eq!(receipt.steps[2].outcome, Outcome::Interrupted);
                    assert_eq!(world.ran(), 0, "nobody knows that it did not begin");
                }
                if passes {
                    assert_eq!(world.shown().len(), 4);
                } else {
                    assert_eq!(world.shown(), before, "{stop}");
                }
                assert_eq!(world.left(), Vec::<String>::new());
            }
        }
    }
}

#[test]
fn two_do_not_apply_at_once() {
    let world = World::new();
    let all = package(vec![world.script("true")]);
    let mut asked = false;
    let receipt = world.apply_and(&all, &mut |event| {
        if matches!(event, Event::Begun(_)) {
            let second = world.apply_and(&all, &mut |_| {});
            assert!(matches!(second, Err(ApplyError::InUse(_))), "{second:?}");
            asked = true;
        }
    });
    assert_eq!((receipt.expect("applied").verdict, asked), (Verdict::Passed, true));
}

#[test]
fn a_state_that_others_may_change_is_refused() {
    use std::os::unix::fs::PermissionsExt as _;
    let world = World::new();
    fs::create_dir(world.path("state")).expect("made");
    let set = |mode| {
        let mode = fs::Permissions::from_mode(mode);
        fs::set_permissions(world.path("state"), mode).expect("set");
    };
    for mode in [0o777, 0o770, 0o702] {
        set(mode);
        let refused = world.apply_and(&package(vec![]), &mut |_| {});
        assert!(matches!(refused, Err(ApplyError::State { .. })), "{mode:o}: {refused:?}");
    }
    set(0o700);
    assert_eq!(world.apply(&package(vec![])).verdict, Verdict::Passed);
}

/// Nothing of the newer version came in place: the older one is installed still.
#[test]
fn a_package_that_changed_nothing_leaves_what_is_installed() {
    let world = World::new();
    let first = package(vec![world.files("contents/0", "machine/app")]);
    assert_eq!(world.apply(&first).verdict, Verdict::Passed);
    let there = || installed(&world.path("state")).expect("reads");
    let before = there();
    assert_eq!(before.len(), 1);
    let missing = package(vec![world.files("contents/9", "machine/app")]);
    assert!(matches!(world.apply(&missing).verdict, Verdict::Failed(_)));
    assert_eq!(there(), before);
    // A script may have changed anything.
    let script = package(vec![world.script("exit 1")]);
    assert!(matches!(world.apply(&script).verdict, Verdict::Failed(_)));
    assert!(there().is_empty());
}

#[test]
fn what_cannot_be_put_back_is_kept_and_named() {
    let world = World::new();
    // The script removes what is around the file that is to come back.
    let line = format!("rm -rf {}; exit 1", world.path("machine/app").display());
    let mut files = world.files("contents/0", "machine/app");
    if let Action::Files(set) = &mut files.action {
        set.placing = Placing::Merge;
    }
    let receipt = world.apply(&package(vec![files, world.script(&line)]));
    let Verdict::Failed(reason) = &receipt.verdict else { panic!("{receipt:?}") };
    assert!(
        reason.contains("\"step 0\" is not put back") || reason.contains("step 0 is not put back"),
        "{reason}"
    );
    let left = world.left();
    assert!(left.len() == 1 && left[0].starts_with("left-"), "{left:?}");
    assert_eq!(world.apply(&package(vec![])).verdict, Verdict::Passed, "others go on");
}

/// Who delivers may be stopped before it knows what became of a delivery.
#[test]
fn a_delivery_is_carried_out_once_until_its_sender_forgets_it() {
    let world = World::new();
    let package = package(vec![world.script("exit 3")]);
    let deliver = |id| world.deliver(&package, Some(id), &mut |_| {}).expect("applied");
    let first = deliver("aa");
    assert!(matches!(first.verdict, Verdict::Failed(_)));
    assert_eq!((deliver("aa"), world.ran()), (first.clone(), 1), "the same one, not again");
    let second = deliver("bb");
    assert_eq!((second.verdict, world.ran()), (first.verdict, 2), "another delivery of the same");
    deploy::forget(&world.path("state"), "aa").expect("forgotten");
    deploy::forget(&world.path("state"), "aa").expect("nothing is there");
    deliver("aa");
    deliver("bb");
    assert_eq!(world.ran(), 3);
}

#[test]
fn a_script_that_was_refused_a_file_is_told_where_it_may_write() {
    let world = World::new();
    let confined = |line: &str| {
        let mut step = world.script("true");
        let Action::Script(script) = &mut step.action else { unreachable!("a script") };
        script.interpreter = ["/bin/sh".into(), "-c".into(), line.to_owned()].into();
        script.writes = None;
        package(vec![world.files("contents/0", "machine/app"), step])
    };
    let writes = |name: &str| confined(&format!("echo x > {}", world.path(name).display()));
    assert_eq!(world.apply(&writes("machine/app/made")).verdict, Verdict::Passed);
    if !deploy::script::can_confine() {
        assert_eq!(world.apply(&writes("machine/made")).verdict, Verdict::Passed, "not held");
        return testkit::parts::skip_on_this_machine("writes", "its kernel has no such Landlock");
    }
    let failed = |package: &Package| {
        let receipt = world.apply(package);
        let Verdict::Failed(reason) = receipt.verdict else { panic!("{receipt:?}") };
        reason
    };
    let reason = failed(&writes("machine/made"));
    let app = world.path("machine/app");
    let hint = format!("beneath {}, its TMPDIR only: name other places in `writes`", app.display());
    assert!(reason.ends_with(&hint), "{reason}");
    assert!(!world.path("machine/made").exists());
    // One that failed otherwise is told nothing of it.
    let otherwise = failed(&confined("exit 7"));
    assert!(otherwise.ends_with("it ended with code 7"), "{otherwise}");
}
