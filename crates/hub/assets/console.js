// What the console needs beyond htmx: spending a sign-in link, and copying.
"use strict";

// The secret of a sign-in link stands behind the #, which no browser sends anywhere. It leaves
// the address bar and the history before it is posted.
const signIn = document.querySelector("form[data-sign-in]");
function spend() {
  const secret = location.hash.slice(1);
  // Other fragments come along when a page without a session redirects here.
  if (!signIn || !/^[0-9a-f]{64}$/.test(secret)) return;
  history.replaceState(null, "", location.pathname);
  signIn.elements.namedItem("secret").value = secret;
  signIn.requestSubmit();
}
spend();
// A second link opened in the same tab changes the fragment alone.
addEventListener("hashchange", spend);

// Buttons that copy are useless without a script, so they show only with one.
for (const button of document.querySelectorAll("button[data-copy]")) {
  const source = document.getElementById(button.dataset.copy);
  if (!navigator.clipboard || !source) continue;
  const label = button.textContent;
  button.hidden = false;
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(source.textContent.trim());
      button.textContent = "Copied";
    } catch {
      button.textContent = "Select and copy by hand";
    }
    setTimeout(() => (button.textContent = label), 2500);
  });
}
