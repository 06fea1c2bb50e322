// Refreshes the live parts of a page while somebody looks at it; everything else works without.
(() => {
  "use strict";
  const since = new Map();

  // Nothing is refreshed while it is in use: something in it is open, ticked, selected, or has the
  // focus.
  const isInUse = (part) => {
    const selection = document.getSelection();
    const isSelected = selection && !selection.isCollapsed && part.contains(selection.anchorNode);
    return isSelected || part.contains(document.activeElement) || part.querySelector("details.ask[open], input:checked");
  };

  const look = () => {
    if (document.hidden) return;
    const now = Date.now();
    for (const part of document.querySelectorAll("[data-every]")) {
      const last = since.get(part.id) ?? started;
      if (now - last < part.dataset.every * 1000 || isInUse(part)) continue;
      since.set(part.id, now);
      htmx.trigger(part, "refresh");
    }
  };

  // It may have come into use while the request for the refresh was under way.
  const leaveIfInUse = (event) => {
    if (isInUse(event.detail.target)) event.detail.shouldSwap = false;
  };

  const sayTime = (event) => {
    const time = event.detail.xhr.getResponseHeader("Ringback-Now");
    const shown = document.querySelector("[data-live-head] time");
    if (!time || !shown) return;
    const utc = new Date(time).toISOString();
    shown.dateTime = utc;
    shown.textContent = utc.slice(11, 19) + "Z";
  };

  const started = Date.now();
  for (const one of document.querySelectorAll("[data-with-script]")) one.hidden = false;
  document.addEventListener("htmx:beforeSwap", leaveIfInUse);
  document.addEventListener("htmx:afterRequest", sayTime);
  document.addEventListener("visibilitychange", look);
  setInterval(look, 500);
})();
