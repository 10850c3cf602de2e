"use strict";
(() => {
  const announce = document.body.appendChild(document.createElement("p"));
  announce.className = "unseen";
  announce.setAttribute("role", "status");

  // A button behind each command: without this script the commands are there as text.
  const addButtons = (part) => {
    for (const code of part.querySelectorAll("code.command")) {
      const button = document.createElement("button");
      button.type = "button";
      button.className = "copy";
      button.textContent = "Copy";
      button.setAttribute("aria-label", `Copy: ${code.textContent}`);
      code.after(" ", button);
    }
  };

  const copy = async (code) => {
    try {
      await navigator.clipboard.writeText(code.textContent);
    } catch {
      getSelection().selectAllChildren(code);
      return document.execCommand("copy");
    }
    return true;
  };

  document.addEventListener("click", async (event) => {
    const button = event.target.closest("button.copy");
    if (!button) return;
    const done = await copy(button.previousElementSibling);
    button.textContent = done ? "Copied" : "Selected: press Ctrl-C";
    announce.textContent = button.textContent;
    setTimeout(() => {
      button.textContent = "Copy";
      announce.textContent = "";
    }, 2000);
  });

  addButtons(document);
  const main = document.querySelector("main[data-every]");
  if (!main) return;

  // Change what differs and keep the elements: so focus, scroll positions and unfolded parts stay.
  const keyOf = (node) => (node.nodeType === Node.ELEMENT_NODE && (node.id || node.dataset.key)) || "";
  const alike = (old, wanted) => old.nodeName === wanted.nodeName && keyOf(old) === keyOf(wanted);

  const update = (old, wanted) => {
    if (old.nodeType !== Node.ELEMENT_NODE) {
      if (old.data !== wanted.data) old.data = wanted.data;
      return;
    }
    const kept = (name) => name === "open" && old.nodeName === "DETAILS";
    for (const { name } of [...old.attributes]) {
      if (!wanted.hasAttribute(name) && !kept(name)) old.removeAttribute(name);
    }
    for (const { name, value } of wanted.attributes) {
      if (old.getAttribute(name) !== value && !kept(name)) old.setAttribute(name, value);
    }
    updateChildren(old, wanted);
  };

  const updateChildren = (old, wanted) => {
    const left = [...old.childNodes];
    const pairs = [...wanted.childNodes].map((child) => {
      const place = left.findIndex((one) => alike(one, child));
      return [child, place < 0 ? document.importNode(child, true) : left.splice(place, 1)[0], place >= 0];
    });
    for (const one of left) one.remove();
    let next = old.firstChild;
    for (const [child, node, there] of pairs) {
      if (node === next) next = node.nextSibling;
      else old.insertBefore(node, next);
      if (there) update(node, child);
    }
  };

  const units = [[86400, "d"], [3600, "h"], [60, "min"]];
  const inWords = (seconds) => {
    const [size, unit] = units.find(([least]) => seconds >= 2 * least) ?? [1, "s"];
    return `${Math.round(seconds / size)} ${unit}`;
  };

  let received = Date.now();
  setInterval(() => {
    const age = document.getElementById("age");
    if (age) age.textContent = inWords(Number(age.dataset.seconds) + (Date.now() - received) / 1000);
  }, 1000);

  // Unchanged, so that a screen reader does not repeat it.
  const warn = (text) => {
    const outage = document.getElementById("outage");
    if (outage.textContent !== text) outage.textContent = text;
  };

  const show = (text, whole) => {
    const page = new DOMParser().parseFromString(text, "text/html");
    const wanted = page.querySelector("main");
    const focused = document.activeElement;
    const outage = wanted.querySelector("#outage");
    if (whole) {
      addButtons(wanted);
      update(main, wanted);
      received = Date.now();
      document.title = page.title;
    } else if (outage.textContent) {
      update(document.getElementById("outage"), outage);
    } else if (document.title !== page.title) {
      const reason = wanted.querySelector("#reason").textContent;
      warn(`${wanted.querySelector("h1").textContent}: ${reason}. The page shows its last data.`);
    } else {
      warn("");
    }
    if (focused !== document.activeElement && focused.isConnected) focused.focus({ preventScroll: true });
  };

  let silentSince = "";
  const refresh = async () => {
    try {
      const response = await fetch(location.href, { cache: "no-store", signal: AbortSignal.timeout(30000) });
      show(await response.text(), response.ok);
      silentSince = "";
    } catch {
      silentSince ||= new Date().toISOString().slice(0, 19).replace("T", " ");
      warn(
        `bubble-sync serve has not answered since ${silentSince} UTC: is it still running? The page shows its last data.`
      );
    }
  };

  let planned = 0;
  const plan = () => {
    clearTimeout(planned);
    planned = setTimeout(async () => {
      if (!document.hidden) await refresh();
      plan();
    }, Number(main.dataset.every) * 1000);
  };
  document.addEventListener("visibilitychange", async () => {
    if (document.hidden) return;
    await refresh();
    plan();
  });
  plan();
})();
