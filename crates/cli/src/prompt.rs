//! Asks whoever sits at the terminal.

use std::io::{self, IsTerminal as _};
use std::os::fd::AsFd;

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

/// Asks for a secret, which is not shown while it is typed; `None` when nobody sits here.
pub(crate) async fn secret(question: String) -> anyhow::Result<Option<String>> {
    if !io::stdin().is_terminal() {
        return Ok(None);
    }
    let line = unseen(io::stdin(), move || {
        eprint!("{question}");
        let mut line = String::new();
        io::stdin().read_line(&mut line).map(|_| line)
    });
    Ok(Some(line.await?.trim().to_owned()))
}

/// Asks for a line, which is shown while it is typed; `None` when nobody sits here.
pub(crate) async fn line(question: String) -> anyhow::Result<Option<String>> {
    if !io::stdin().is_terminal() {
        return Ok(None);
    }
    // On a thread of its own, so that Ctrl-C is heard meanwhile.
    let typed = tokio::task::spawn_blocking(move || {
        eprint!("{question}");
        let mut line = String::new();
        io::stdin().read_line(&mut line).map(|_| line)
    });
    Ok(Some(typed.await??.trim().to_owned()))
}

/// Reads on a thread of its own, so that Ctrl-C is heard meanwhile: it drops this future, and
/// with it the guard.
async fn unseen<T: AsFd>(
    terminal: T,
    read: impl FnOnce() -> io::Result<String> + Send + 'static,
) -> anyhow::Result<String> {
    let _guard = EchoOff::new(terminal)?;
    Ok(tokio::task::spawn_blocking(read).await??)
}

/// A terminal that does not show what is typed, but for the end of the line. Dropped, it is as it
/// was before.
struct EchoOff<T: AsFd> {
    terminal: T,
    before: Termios,
}

impl<T: AsFd> EchoOff<T> {
    fn new(terminal: T) -> io::Result<Self> {
        let before = tcgetattr(&terminal)?;
        let mut without = before.clone();
        without.local_modes.remove(LocalModes::ECHO);
        without.local_modes.insert(LocalModes::ECHONL);
        tcsetattr(&terminal, OptionalActions::Now, &without)?;
        Ok(Self { terminal, before })
    }
}

impl<T: AsFd> Drop for EchoOff<T> {
    fn drop(&mut self) {
        // A terminal that is gone shows nothing.
        let _ = tcsetattr(&self.terminal, OptionalActions::Now, &self.before);
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::time::Duration;

    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

    use super::*;

    #[tokio::test]
    async fn a_secret_is_not_shown_and_the_terminal_comes_back_also_when_interrupted() {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
        grantpt(&master).expect("granted");
        unlockpt(&master).expect("unlocked");
        let path = ptsname(&master, Vec::new()).expect("a name");
        let slave = File::options().read(true).write(true).open(path.to_str().expect("ASCII"));
        let slave = slave.expect("opens");
        let modes = |terminal: &File| tcgetattr(terminal).expect("a terminal").local_modes;
        let before = modes(&slave);
        assert!(before.contains(LocalModes::ECHO));

        let seen = slave.try_clone().expect("cloned");
        let typed = unseen(&slave, move || Ok(modes(&seen).bits().to_string()));
        let bits = typed.await.expect("read").parse().expect("a number");
        let during = LocalModes::from_bits_retain(bits);
        assert!(!during.contains(LocalModes::ECHO) && during.contains(LocalModes::ECHONL));
        assert!(during.contains(LocalModes::ISIG | LocalModes::ICANON), "Ctrl-C is heard");
        assert_eq!(modes(&slave), before);

        let (ends, ended) = std::sync::mpsc::channel::<()>();
        let never = unseen(&slave, move || {
            let _ = ended.recv();
            Ok(String::new())
        });
        assert!(tokio::time::timeout(Duration::from_millis(50), never).await.is_err());
        assert_eq!(modes(&slave), before);
        drop(ends);
    }
}
