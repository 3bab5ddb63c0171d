//! A browser that goes its way, and says what the test has to do in between.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Child, ChildStderr};

use serde_json::{Value, json};

use crate::console::{Driver, finished};
use crate::world::World;

/// On a journey of a script in `console/`.
pub(crate) struct Browser {
    driver: Child,
    said: BufReader<ChildStderr>,
}

impl Browser {
    /// Sends one on a journey; `place` is where both leave files for each other. `None` where no browser is.
    pub(crate) fn start(
        world: &World,
        script: &str,
        journey: &str,
        mut told: Value,
    ) -> Option<Self> {
        let driver = Driver::find()?;
        let place = world.path("place");
        fs::create_dir_all(&place).expect("made");
        let console = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/console");
        told["journeys"] = json!(console.join(script));
        told["place"] = json!(place);
        let mut driver = driver.start(world, journey, told);
        let said = BufReader::new(driver.stderr.take().expect("piped"));
        Some(Self { driver, said })
    }

    /// Waits until it asks for this; what belongs to it.
    pub(crate) fn asks(&mut self, word: &str) -> String {
        let mut line = String::new();
        self.said.read_line(&mut line).expect("readable");
        let (first, rest) = line.trim_end().split_once(' ').unwrap_or((line.trim_end(), ""));
        if first == word {
            return rest.to_owned();
        }
        let mut all = line.clone();
        self.said.read_to_string(&mut all).expect("readable");
        panic!("the browser was to ask for {word}: {all}");
    }

    /// What it found, at the end of its way.
    pub(crate) fn found(mut self) -> Value {
        let mut rest = String::new();
        self.said.read_to_string(&mut rest).expect("readable");
        let output = self.driver.wait_with_output().expect("ends");
        assert!(output.status.success(), "{rest}");
        finished(output)
    }
}
