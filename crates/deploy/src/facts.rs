//! What is known of this machine before anything is applied.

use package::Condition;
use package::label::Labels;

/// What a package's conditions are held against.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MachineFacts {
    /// As `std::env::consts::OS` names it.
    pub os: String,
    /// As `std::env::consts::ARCH` names it.
    pub arch: String,
    /// The machine's labels.
    pub labels: Labels,
}

impl MachineFacts {
    /// Those of this machine, which does not know its labels itself.
    #[must_use]
    pub fn here(labels: Labels) -> Self {
        Self { os: std::env::consts::OS.into(), arch: std::env::consts::ARCH.into(), labels }
    }

    /// Why a condition does not fit, if it does not: for people.
    #[must_use]
    pub fn lacks(&self, condition: &Condition) -> Option<String> {
        let Condition { os, arch, labels } = condition;
        if !os.is_empty() && !os.contains(&self.os) {
            return Some(format!("for {}, and this is {}", os.join(", "), self.os));
        }
        if !arch.is_empty() && !arch.contains(&self.arch) {
            return Some(format!("for {}, and this is {}", arch.join(", "), self.arch));
        }
        let fits = labels.as_ref().is_none_or(|labels| labels.fits(&self.labels));
        (!fits).then(|| "this machine's labels do not fit".to_owned())
    }
}
