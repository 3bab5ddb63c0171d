//! A terminal for a command that behaves differently on one.

use std::fs::File;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

/// Both ends of a terminal of so many columns: the one to read from, and the command's.
pub(crate) fn terminal(columns: u16) -> (File, File) {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
    grantpt(&master).expect("granted");
    unlockpt(&master).expect("unlocked");
    let size = Winsize { ws_row: 24, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(&master, size).expect("sized");
    let path = ptsname(&master, Vec::new()).expect("a name");
    let slave = File::options().read(true).write(true).open(path.to_str().expect("ASCII"));
    (File::from(master), slave.expect("opens"))
}
