// Which room is open, and what all of them need.

import { ask } from "./api.js";
import { find, say } from "./dom.js";
import { leaveLive, setUpLive } from "./live.js";
import { loadModels } from "./models.js";
import { leaveRead, setUpRead } from "./read.js";
import { enterTeach, leaveTeach, setUpTeach } from "./teach.js";

const leave = { read: leaveRead, live: leaveLive, teach: leaveTeach };
const enterRoom = { teach: enterTeach };
const rooms = [...document.querySelectorAll("main > section")].map((section) => section.id);
let open = null;

function enter() {
  const wanted = location.hash.slice(1);
  if (open && !rooms.includes(wanted)) return; // a link within the page
  const next = rooms.includes(wanted) ? wanted : "read";
  if (next === open) return;
  leave[open]?.();
  for (const room of rooms) find(room).hidden = room !== next;
  for (const link of document.querySelectorAll("nav a")) {
    if (link.hash === `#${next}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  if (open) find("main").focus({ preventScroll: true });
  open = next;
  enterRoom[open]?.();
  scrollTo(0, 0);
}

setUpRead();
setUpLive();
setUpTeach();
addEventListener("hashchange", enter);
enter();
try {
  await loadModels();
  const { version } = await (await ask("healthz")).json();
  find("version").textContent = version;
} catch (error) {
  say(find("read-status"), error.message, true);
}
document.body.dataset.ready = "yes";
