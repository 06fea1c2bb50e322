// Plays the casts of the site: every piece of text has its time, and shows when that has come.
// Without this script, and before somebody presses the button, a cast shows all of its text.

for (const cast of document.querySelectorAll(".rb-cast")) {
  const screen = cast.querySelector("pre");
  const pieces = [...cast.querySelectorAll("[data-at]")];
  const button = document.createElement("button");
  let timer = 0;

  const stop = () => {
    clearTimeout(timer);
    timer = 0;
    for (const piece of pieces) piece.hidden = false;
    button.textContent = "Play";
  };

  const play = () => {
    const start = performance.now();
    let next = 0;
    screen.style.height = `${screen.offsetHeight}px`;
    for (const piece of pieces) piece.hidden = true;
    button.textContent = "Stop";
    const step = () => {
      const now = performance.now() - start;
      while (next < pieces.length && Number(pieces[next].dataset.at) <= now) pieces[next++].hidden = false;
      screen.scrollTop = screen.scrollHeight;
      if (next < pieces.length) timer = setTimeout(step, 30);
      else stop();
    };
    step();
  };

  button.type = "button";
  button.textContent = "Play";
  button.addEventListener("click", () => (timer ? stop() : play()));
  screen.after(button);
}

// A button on each block of code that copies what can be pasted: of a block with prompts, the
// commands without them, and nothing of what they print.

const pasteable = (text) => {
  const lines = text.replace(/\n$/, "").split("\n");
  if (!lines.some((line) => line.startsWith("$ "))) return text;
  const commands = [];
  let end = "";
  let isContinued = false;
  for (const line of lines) {
    const isCommand = line.startsWith("$ ") && !end && !isContinued;
    if (!isCommand && !end && !isContinued) continue;
    const command = isCommand ? line.slice(2) : line;
    commands.push(command);
    if (end && command === end) end = "";
    else if (!end) end = command.match(/<<'?(\w+)'?/)?.[1] ?? "";
    isContinued = command.endsWith("\\");
  }
  return `${commands.join("\n")}\n`;
};

for (const block of document.querySelectorAll(".md-typeset .highlight")) {
  const code = block.querySelector("pre > code");
  if (!code || !navigator.clipboard) continue;
  const button = document.createElement("button");
  button.type = "button";
  button.className = "rb-copy";
  button.textContent = "Copy";
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(pasteable(code.textContent));
    button.textContent = "Copied";
    setTimeout(() => (button.textContent = "Copy"), 1500);
  });
  block.append(button);
}

// What is too wide can be reached, and scrolled, with the keyboard. The theme does it for code alone.

const letScroll = () => {
  for (const part of document.querySelectorAll(".md-typeset__scrollwrap, p:has(> img)")) {
    if (part.scrollWidth > part.clientWidth) part.tabIndex = 0;
    else part.removeAttribute("tabindex");
  }
};
letScroll();
addEventListener("load", letScroll);
addEventListener("resize", letScroll);
// The theme wraps tables a little later.
new MutationObserver(letScroll).observe(document.querySelector("article"), {
  childList: true,
  subtree: true,
});
