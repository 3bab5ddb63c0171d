//! A filter in the kernel that stops the traced program at the calls that count and lets all
//! others run at full speed.
//!
//! A filter can only be installed by the process itself. So the process is made to do that: at
//! its first instruction its registers and two bytes of code are exchanged for one call at a time.

use anyhow::{Context as _, bail, ensure};
use nix::libc::{self, user_regs_struct};
use nix::sys::ptrace;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};

use crate::call;
use crate::tracee::Tracee;

/// The instruction `syscall`.
const SYSCALL: [u8; 2] = [0x0f, 0x05];
/// Below the stack pointer, out of the red zone, with room for the filter.
const SCRATCH_BYTES: u64 = 4096;

/// Installs the filter in a process that stands at the end of `execve`, before its first
/// instruction; all its threads and children will have it.
pub(crate) fn install(tracee: Tracee, reads: bool) -> anyhow::Result<()> {
    let before = ptrace::getregs(tracee.0)?;
    let code = tracee.read(before.rip, SYSCALL.len())?;
    tracee.write(before.rip, &SYSCALL)?;

    let program = program(reads);
    let filter = (before.rsp - SCRATCH_BYTES) & !15;
    let mut header = ((program.len() / 8) as u64).to_le_bytes().to_vec();
    header.extend_from_slice(&(filter + 16).to_le_bytes());
    tracee.write(filter, &header)?;
    tracee.write(filter + 16, &program)?;
    // Without this only root may filter.
    let done = make(tracee, before, libc::SYS_prctl, [libc::PR_SET_NO_NEW_PRIVS as u64, 1, 0])?;
    ensure!(done == 0, "PR_SET_NO_NEW_PRIVS gives {done}");
    let done = make(tracee, before, libc::SYS_seccomp, [1, 0, filter])?;
    ensure!(done == 0, "SECCOMP_SET_MODE_FILTER gives {done}");

    tracee.write(before.rip, &code)?;
    ptrace::setregs(tracee.0, before)?;
    Ok(())
}

/// Makes the process do one call; what it returns.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "whatever else it is, nothing goes on from there"
)]
fn make(
    tracee: Tracee,
    before: user_regs_struct,
    number: i64,
    arguments: [u64; 3],
) -> anyhow::Result<i64> {
    let mut registers = before;
    registers.rax = number as u64;
    // No call is under way that could be started again.
    registers.orig_rax = u64::MAX;
    [registers.rdi, registers.rsi, registers.rdx] = arguments;
    (registers.r10, registers.r8) = (0, 0);
    ptrace::setregs(tracee.0, registers)?;
    // Its beginning and its end.
    for _ in 0..2 {
        ptrace::syscall(tracee.0, None)?;
        match waitpid(tracee.0, Some(WaitPidFlag::__WALL)).context("waiting")? {
            WaitStatus::PtraceSyscall(_) => {}
            other => bail!("{other:?} where a system call was expected"),
        }
    }
    Ok(ptrace::getregs(tracee.0)?.rax as i64)
}

/// The filter: `SECCOMP_RET_TRACE` for the calls that count, `SECCOMP_RET_ALLOW` for all others.
fn program(reads: bool) -> Vec<u8> {
    const LOAD_WORD: u16 = 0x20;
    const JUMP_IF_EQUAL: u16 = 0x15;
    const RETURN: u16 = 0x06;
    const TRACE: u32 = 0x7ff0_0000;
    const ALLOW: u32 = 0x7fff_0000;

    let numbers: Vec<u32> = call::numbers(reads).collect();
    // The first word of `struct seccomp_data` is the number of the call.
    let mut program = instruction(LOAD_WORD, [0, 0], 0);
    for (index, number) in numbers.iter().enumerate() {
        let to_trace = u8::try_from(numbers.len() - index).expect("a short table");
        program.extend(instruction(JUMP_IF_EQUAL, [to_trace, 0], *number));
    }
    program.extend(instruction(RETURN, [0, 0], ALLOW));
    program.extend(instruction(RETURN, [0, 0], TRACE));
    program
}

/// `struct sock_filter` of `linux/filter.h`.
fn instruction(code: u16, [on_true, on_false]: [u8; 2], value: u32) -> Vec<u8> {
    let mut bytes = code.to_le_bytes().to_vec();
    bytes.extend([on_true, on_false]);
    bytes.extend(value.to_le_bytes());
    bytes
}
