use proptest::prelude::*;

use super::*;
use crate::label::tests::any_expression;

/// Every field is there, once each way.
pub(crate) fn sample() -> Package {
    let script = Script {
        file: Some("scripts/1".into()),
        interpreter: vec!["/bin/bash".into(), "-e".into()],
        arguments: vec!["now".into()],
        environment: [("A".into(), "b".into()), ("PREFIX".into(), "/opt".into())].into(),
        directory: Some("/opt/tools".into()),
        user: Some(Owner { user: "nobody".into(), group: None }),
        timeout: Duration::from_secs(600),
        output_bytes_max: 65_536,
        expected: vec![0, 3],
        on_interrupt: OnInterrupt::Repeat,
        writes: Some(vec!["/opt/tools".into()]),
        limits: Limits::default(),
    };
    Package {
        name: "tools".into(),
        version: "1.4.2".into(),
        description: "Tools for everybody".into(),
        requires: vec![
            Requirement { name: "base".into(), version: None },
            Requirement { name: "runtime".into(), version: Some("3.1".into()) },
        ],
        conflicts: vec!["old-tools".into()],
        when: Condition {
            os: vec!["linux".into()],
            arch: vec!["x86_64".into(), "aarch64".into()],
            labels: Some("site=berlin & !(lab | ring=0)".parse().expect("an expression")),
        },
        steps: vec![
            Step {
                name: "binaries".into(),
                when: Condition::default(),
                on_failure: OnFailure::RollBack,
                action: Action::Files(FileSet {
                    contents: "contents/0".into(),
                    target: "/opt/tools".into(),
                    placing: Placing::Replace,
                    owner: Some(Owner { user: "root".into(), group: Some("root".into()) }),
                    mode: Some(0o755),
                }),
            },
            Step {
                name: "set up".into(),
                when: Condition { arch: vec!["x86_64".into()], ..Condition::default() },
                on_failure: OnFailure::Continue,
                action: Action::Script(script),
            },
            Step {
                name: "restart".into(),
                when: Condition::default(),
                on_failure: OnFailure::Stop,
                action: Action::Script(command(&["systemctl", "restart", "tools"])),
            },
        ],
    }
}

/// A command with nothing else said of it.
pub(crate) fn command(words: &[&str]) -> Script {
    Script {
        file: None,
        interpreter: words.iter().map(ToString::to_string).collect(),
        arguments: Vec::new(),
        environment: BTreeMap::new(),
        directory: None,
        user: None,
        timeout: Duration::from_secs(60),
        output_bytes_max: 1 << 16,
        expected: vec![0],
        on_interrupt: OnInterrupt::Fail,
        writes: None,
        limits: Limits::default(),
    }
}

/// All that version 2 adds.
pub(crate) fn sample_with_limits() -> Package {
    changed(|it| {
        script(it).limits = Limits {
            memory_bytes: Some(512 << 20),
            processes: Some(64),
            processor: Some(Duration::from_secs(300)),
            open_files: Some(1024),
        };
    })
}

fn changed(change: impl FnOnce(&mut Package)) -> Package {
    let mut package = sample();
    change(&mut package);
    package
}

fn files(package: &mut Package) -> &mut FileSet {
    let Action::Files(files) = &mut package.steps[0].action else { panic!("files first") };
    files
}

fn script(package: &mut Package) -> &mut Script {
    let Action::Script(script) = &mut package.steps[1].action else { panic!("then a script") };
    script
}

#[test]
fn what_breaks_a_bound_is_neither_written_nor_read() {
    let wrong: Vec<(Package, &str)> = vec![
        (changed(|it| it.name = "Tools".into()), "name: a name has"),
        (changed(|it| it.version.clear()), "version: a version"),
        (changed(|it| it.description = "x".repeat(4097)), "bytes of the description: 4097"),
        (changed(|it| it.requires[1].name = "base".into()), "requires: \"base\" twice"),
        (changed(|it| it.conflicts.push("old-tools".into())), "conflicts: \"old-tools\" twice"),
        (changed(|it| it.when.os = vec!["Linux".into()]), "package, os: the name"),
        (
            changed(|it| it.when.labels = Some(Expression::All(vec![Expression::Has("a".into())]))),
            "package, labels: a list",
        ),
        (changed(|it| it.when.labels = Some(Expression::Has("ä".into()))), "package, labels: 'ä'"),
        (changed(|it| it.steps[2].name = "binaries".into()), "steps: \"binaries\" twice"),
        (changed(|it| it.steps = vec![it.steps[0].clone(); 1001]), "steps: 1001"),
        (changed(|it| files(it).contents = "../etc".into()), "step \"binaries\", contents: a path"),
        (changed(|it| files(it).contents = INSTRUCTIONS.into()), "step \"binaries\", contents:"),
        (changed(|it| files(it).target = "opt".into()), "step \"binaries\", target: a path"),
        (changed(|it| files(it).target = "/".into()), "step \"binaries\": / cannot"),
        (changed(|it| files(it).mode = Some(0o10_000)), "step \"binaries\": mode 10000"),
        (
            changed(|it| files(it).owner = Some(Owner { user: String::new(), group: None })),
            "step \"binaries\": the name of a user",
        ),
        (changed(|it| script(it).interpreter.clear()), "step \"set up\": the interpreter"),
        (
            changed(|it| script(it).arguments = vec![String::new(); 1025]),
            "step \"set up\", arguments",
        ),
        (changed(|it| script(it).arguments = vec!["\0".into()]), "step \"set up\", arguments"),
        (
            changed(|it| drop(script(it).environment.insert("A=".into(), String::new()))),
            "step \"set up\", environment \"A=\"",
        ),
        (changed(|it| script(it).directory = Some("x".into())), "step \"set up\", directory"),
        (changed(|it| script(it).timeout = Duration::ZERO), "step \"set up\": a timeout"),
        (
            changed(|it| script(it).timeout = TIMEOUT_MAX + Duration::from_millis(1)),
            "step \"set up\": a timeout",
        ),
        (
            changed(|it| script(it).timeout = Duration::from_micros(1500)),
            "step \"set up\": a timeout is whole",
        ),
        (
            changed(|it| script(it).output_bytes_max = OUTPUT_BYTES_MAX + 1),
            "step \"set up\": at most 1 MiB",
        ),
        (changed(|it| script(it).expected.clear()), "step \"set up\": expected"),
        (changed(|it| script(it).expected = vec![3, 0]), "step \"set up\": expected"),
        (changed(|it| script(it).expected = vec![0, 0]), "step \"set up\": expected"),
        (changed(|it| script(it).writes = Some(vec!["x".into()])), "step \"set up\", writes"),
    ];
    let limits = |change: fn(&mut Limits)| {
        (changed(|it| change(&mut script(it).limits)), "step \"set up\", limits: a limit of")
    };
    let wrong = wrong.into_iter().chain([
        limits(|it| it.memory_bytes = Some(MEMORY_BYTES_MIN - 1)),
        limits(|it| it.memory_bytes = Some(MEMORY_BYTES_MAX + 1)),
        limits(|it| it.processes = Some(0)),
        limits(|it| it.processes = Some(PROCESSES_MAX + 1)),
        limits(|it| it.processor = Some(Duration::from_millis(999))),
        limits(|it| it.processor = Some(TIMEOUT_MAX + Duration::from_millis(1))),
        limits(|it| it.processor = Some(Duration::from_micros(1_000_001))),
        limits(|it| it.open_files = Some(OPEN_FILES_MIN - 1)),
        limits(|it| it.open_files = Some(OPEN_FILES_MAX + 1)),
    ]);
    for (package, start) in wrong {
        let error = package.encode().expect_err(start).to_string();
        assert!(error.starts_with(start), "{error:?} does not begin with {start:?}");
        // The same from outside: the bytes are what a writer without the check would write. What
        // has no bytes of its own, such as a list of one part, cannot come in at all.
        let bytes = encoding::encode(&package);
        assert_ne!(Package::decode(&bytes), Ok(package), "{start}");
    }
    assert!(Package::decode(&encoding::encode(&sample())).is_ok(), "it is not the encoding");
}

#[test]
fn instructions_are_bounded_as_a_whole() {
    let long = changed(|it| {
        script(it).arguments = vec!["x".repeat(32_768); 32];
    });
    let error = long.encode().expect_err("too long").to_string();
    assert!(error.starts_with("bytes of the instructions:"), "{error}");
    let bytes = encoding::encode(&long);
    let refused = Package::decode(&bytes).expect_err("too long").to_string();
    assert!(refused.contains("longer than"), "{refused}");
}

#[test]
fn a_field_that_says_what_its_absence_says_is_refused() {
    let package = Package {
        description: "x".into(),
        requires: vec![],
        conflicts: vec![],
        when: Condition::default(),
        steps: vec![],
        ..sample()
    };
    let bytes = package.encode().expect("sound");
    // Key 3 and the text of one byte; then the same with an empty text.
    let at = bytes.windows(3).position(|window| window == [0x03, 0x61, b'x']).expect("there");
    let empty = [&bytes[..at], &[0x03, 0x60], &bytes[at + 3..]].concat();
    let refused = Package::decode(&empty);
    assert_eq!(refused, Err(content::DecodeError::NotCanonical { what: "package" }));
}

#[test]
fn what_limits_nothing_stays_of_the_first_version() {
    let version = |package: &Package| package.encode().expect("sound")[2];
    assert_eq!((version(&sample()), version(&sample_with_limits())), (1, 2));
    // Each in the other's version is no encoding of anything.
    for package in [sample(), sample_with_limits()] {
        let mut bytes = package.encode().expect("sound");
        bytes[2] = 3 - bytes[2];
        let refused = Package::decode(&bytes);
        assert_eq!(refused, Err(content::DecodeError::NotCanonical { what: "package" }));
    }
    // One that is newer than this program says so.
    let mut bytes = sample().encode().expect("sound");
    bytes[2] = 3;
    let newer = content::DecodeError::Version { what: "package", version: 3, supported: 2 };
    assert_eq!(Package::decode(&bytes), Err(newer));
}

#[test]
fn labels_have_one_spelling() {
    let package = changed(|it| it.when.labels = Some("a & b".parse().expect("an expression")));
    let bytes = package.encode().expect("sound");
    let at = bytes.windows(5).position(|window| window == b"a & b").expect("there");
    for other in [*b"(a&b)", *b"a &b ", *b"a&b  "] {
        let mut altered = bytes.clone();
        altered[at..at + 5].copy_from_slice(&other);
        assert_eq!(
            Package::decode(&altered),
            Err(content::DecodeError::NotCanonical { what: "package" })
        );
    }
}

fn names() -> impl Strategy<Value = String> {
    "[a-z0-9][a-z0-9._-]{0,63}"
}

fn paths() -> impl Strategy<Value = String> {
    "(/[a-zé ]{1,5}){1,4}"
}

fn conditions() -> impl Strategy<Value = Condition> {
    let systems = || prop::collection::vec("[a-z0-9_]{1,8}", 0..3);
    (systems(), systems(), prop::option::of(any_expression()))
        .prop_map(|(os, arch, labels)| Condition { os, arch, labels })
}

fn owners() -> impl Strategy<Value = Option<Owner>> {
    let owner = ("[!-9;-~]{1,9}", prop::option::of("[!-9;-~]{1,9}"));
    prop::option::of(owner.prop_map(|(user, group)| Owner { user, group }))
}

fn file_sets() -> impl Strategy<Value = Action> {
    let placing = prop_oneof![Just(Placing::Replace), Just(Placing::Merge)];
    (names(), paths(), placing, owners(), prop::option::of(0..=MODE_MAX)).prop_map(
        |(contents, target, placing, owner, mode)| {
            Action::Files(FileSet { contents, target, placing, owner, mode })
        },
    )
}

fn scripts() -> impl Strategy<Value = Action> {
    let texts = |least| prop::collection::vec("[^\0]{1,9}", least..4);
    let what = (
        prop::option::of(names()),
        texts(1),
        texts(0),
        prop::collection::btree_map("[A-Za-z_][A-Za-z0-9_]{0,9}", "[^\0]{0,9}", 0..4),
        prop::option::of(paths()),
        owners(),
    );
    let bounds = (
        1..=TIMEOUT_MAX.as_millis() as u64,
        0..=OUTPUT_BYTES_MAX,
        prop::collection::btree_set(any::<u8>(), 1..5),
        any::<bool>(),
        prop::option::of(prop::collection::vec(paths(), 0..3)),
        limits(),
    );
    (what, bounds).prop_map(|(what, bounds)| {
        let (file, interpreter, arguments, environment, directory, user) = what;
        let (timeout_ms, output_bytes_max, expected, repeats, writes, limits) = bounds;
        Action::Script(Script {
            file,
            interpreter,
            arguments,
            environment,
            directory,
            user,
            timeout: Duration::from_millis(timeout_ms),
            output_bytes_max,
            expected: expected.into_iter().collect(),
            on_interrupt: if repeats { OnInterrupt::Repeat } else { OnInterrupt::Fail },
            writes,
            limits,
        })
    })
}

fn limits() -> impl Strategy<Value = Limits> {
    let fields = (
        prop::option::of(MEMORY_BYTES_MIN..=MEMORY_BYTES_MAX),
        prop::option::of(1..=PROCESSES_MAX),
        prop::option::of(1000..=TIMEOUT_MAX.as_millis() as u64),
        prop::option::of(OPEN_FILES_MIN..=OPEN_FILES_MAX),
    );
    fields.prop_map(|(memory_bytes, processes, processor_ms, open_files)| Limits {
        memory_bytes,
        processes,
        processor: processor_ms.map(Duration::from_millis),
        open_files,
    })
}

fn packages() -> impl Strategy<Value = Package> {
    let on_failure =
        prop_oneof![Just(OnFailure::Stop), Just(OnFailure::Continue), Just(OnFailure::RollBack)];
    let step = (conditions(), on_failure, prop_oneof![file_sets(), scripts()]);
    let head = (names(), "[!-~é]{1,16}", "[^\0]{0,20}");
    let requires = prop::collection::btree_map(names(), prop::option::of("[!-~]{1,9}"), 0..4);
    let conflicts = prop::collection::btree_set(names(), 0..4);
    let steps = prop::collection::vec(step, 0..5);
    (head, requires, conflicts, conditions(), steps).prop_map(
        |((name, version, description), requires, conflicts, when, steps)| Package {
            name,
            version,
            description,
            requires: requires
                .into_iter()
                .map(|(name, version)| Requirement { name, version })
                .collect(),
            conflicts: conflicts.into_iter().collect(),
            when,
            steps: steps
                .into_iter()
                .enumerate()
                .map(|(number, (when, on_failure, action))| Step {
                    name: format!("schritt {number}"),
                    when,
                    on_failure,
                    action,
                })
                .collect(),
        },
    )
}

proptest! {
    #[test]
    fn every_package_comes_back(package in packages()) {
        let bytes = package.encode().expect("sound");
        prop_assert_eq!(Package::decode(&bytes), Ok(package));
    }
}
