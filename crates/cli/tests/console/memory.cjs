// What pages of a browser take of the machine's memory.
"use strict";

const fs = require("node:fs");

function isBelow(pid, parent) {
  for (let at = pid; at > 1; ) {
    if (at === parent) return true;
    at = Number(fs.readFileSync(`/proc/${at}/stat`, "utf8").split(") ")[1].split(" ")[1]);
  }
  return false;
}

// The most memory that any page ever had of its own, in bytes, of browsers that a process started.
exports.mostOfPages = (parent) => {
  const most = [0];
  for (const pid of fs.readdirSync("/proc").filter((name) => /^[0-9]+$/.test(name))) {
    try {
      const words = fs.readFileSync(`/proc/${pid}/cmdline`, "utf8");
      const status = fs.readFileSync(`/proc/${pid}/status`, "utf8");
      if (!words.includes("--type=renderer") || !isBelow(Number(pid), parent)) continue;
      most.push(Number(status.match(/^VmHWM:\s+([0-9]+) kB/m)?.[1] ?? 0) * 1024);
    } catch {
      // It has ended.
    }
  }
  return Math.max(...most);
};
