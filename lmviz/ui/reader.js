// A text whose tokens can be chosen, one or a span. Spans of the page are kept; an update only changes how they look.

const readers = new WeakMap(); // the element Streamlit gives us -> its Reader
const CHOOSE_WAIT = 80; // milliseconds in which a held arrow key moves on before the server is told
const ANSWER_WAIT = 10000; // after which the server's word holds again, even if it never heard of the choice

export default function (component) {
  const host = component.parentElement;
  if (!readers.has(host)) readers.set(host, new Reader(host));
  readers.get(host).update(component.data, component.setTriggerValue);
  return () => setTimeout(() => host.isConnected || readers.get(host)?.remove());
}

class Reader {
  constructor(host) {
    this.host = host;
    this.asked = 0; // when the server was last told something
    this.root = document.createElement("div");
    this.root.className = "lmviz-reader";
    this.root.tabIndex = 0;
    this.root.setAttribute("role", "listbox");
    this.tip = document.createElement("div");
    this.tip.className = "tip";
    this.tip.setAttribute("aria-live", "polite");
    host.append(this.root, this.tip);
    this.root.addEventListener("keydown", (event) => this.key(event));
    this.root.addEventListener("pointerdown", (event) => this.down(event));
    this.root.addEventListener("pointermove", (event) => this.move(event));
    this.root.addEventListener("pointerleave", () => this.say(this.chosen));
    this.root.addEventListener("copy", (event) => this.copy(event));
    this.up = (event) => this.release(event);
    addEventListener("pointerup", this.up);
    addEventListener("pointercancel", this.up);
  }

  update(spec, send) {
    this.send = send;
    const known = JSON.stringify([spec.tokens, spec.marks]);
    if (known !== this.known) this.fill(spec);
    this.known = known;
    this.spec = spec;
    this.root.setAttribute("aria-label", spec.alt);
    this.root.classList.toggle("choosing", spec.chooses);
    this.root.style.maxHeight = spec.height ? `${spec.height}px` : "";
    spec.shades.forEach((shade, i) => {
      const { style } = this.spans[i];
      style.setProperty("--shade", `${Math.abs(shade)}%`);
      style.setProperty("--hue", shade < 0 ? "#e06c26" : "#4296ea");
    });
    // What was chosen here is newer than the answer to something before it.
    const heard = !this.pending && (spec.heard >= this.asked || Date.now() - this.asked > ANSWER_WAIT);
    if (heard) this.mark(spec.chosen);
    if (heard && !this.anchor) this.frame(spec.span);
    this.say(this.chosen);
  }

  fill(spec) {
    clearTimeout(this.pending);
    this.asked = 0;
    this.pending = this.chosen = this.place = this.end = undefined;
    this.letGo();
    this.spans = spec.tokens.map((token, i) => {
      const span = document.createElement("span");
      span.dataset.at = i;
      span.id = `${spec.id}-${i}`;
      span.setAttribute("role", "option");
      if (spec.marks.includes(i)) span.className = "mark";
      if (token.includes("\n")) {
        span.classList.add("line");
        span.append(token.replaceAll("\n", "⏎\n"));
      } else span.textContent = token;
      return span;
    });
    this.root.replaceChildren(...this.spans);
  }

  mark(at) {
    if (at === this.chosen) return;
    this.spans[this.chosen]?.classList.remove("chosen");
    this.spans[this.chosen]?.removeAttribute("aria-selected");
    this.chosen = at;
    this.root.removeAttribute("aria-activedescendant");
    if (at === null || at === undefined) return;
    this.stand(at);
    this.spans[at]?.classList.add("chosen");
    this.spans[at]?.setAttribute("aria-selected", "true");
    this.root.setAttribute("aria-activedescendant", this.spans[at]?.id ?? "");
  }

  // Where the keys go on from, also if nothing is marked there: a span with Shift is from `place` to `end`.
  stand(place, end) {
    this.place = place;
    this.end = end;
  }

  frame(span) {
    this.span = span;
    this.spans.forEach((node, i) => {
      node.classList.toggle("in", Boolean(span) && i >= span[0] && i <= span[1]);
      node.classList.toggle("first", Boolean(span) && i === span[0]);
      node.classList.toggle("last", Boolean(span) && i === span[1]);
    });
  }

  say(at) {
    const tip = this.spec?.tips?.[at];
    this.tip.hidden = !this.spec?.tips;
    this.tip.textContent = tip ?? "";
  }

  // The server hears of the newest choice only.
  choose(at) {
    this.mark(at);
    this.stand(at);
    this.say(at);
    clearTimeout(this.pending);
    this.pending = setTimeout(() => {
      this.pending = undefined;
      this.tell("choose", [at]);
    }, CHOOSE_WAIT);
  }

  chooseSpan(from, to) {
    this.stand(from, to);
    this.frame(ordered(from, to));
    this.tell("span", this.span);
  }

  tell(name, places) {
    this.asked = Math.max(Date.now(), this.asked + 1);
    this.send(name, { places, at: this.asked });
  }

  at(event) {
    const span = event.target.closest?.("[data-at]");
    if (span && this.root.contains(span)) return Number(span.dataset.at);
    const under = document.elementFromPoint(event.clientX, event.clientY)?.closest("[data-at]");
    return under && this.root.contains(under) ? Number(under.dataset.at) : undefined;
  }

  down(event) {
    const at = this.at(event);
    if (at === undefined || event.button > 0) return;
    if (event.shiftKey && this.spec.spans && this.place !== undefined) {
      event.preventDefault();
      this.root.focus();
      this.chooseSpan(this.place, at);
      return;
    }
    this.start = at;
    if (this.spec.spans && event.pointerType === "mouse") {
      event.preventDefault(); // no selection of the page's own
      this.root.focus();
      this.anchor = true;
      this.root.classList.add("dragging");
    }
  }

  move(event) {
    const at = this.at(event);
    if (at === undefined) return;
    this.say(at);
    if (!this.anchor || at === (this.dragged ?? this.start)) return;
    this.dragged = at;
    this.frame(ordered(this.start, at));
  }

  release(event) {
    const { start, dragged } = this;
    this.letGo();
    if (start === undefined) return;
    if (dragged !== undefined) this.chooseSpan(start, dragged);
    // Let go elsewhere it was no click: text was selected to copy it, or the person thought better of it.
    else if (this.spec.chooses && event.type === "pointerup" && this.at(event) === start) this.choose(start);
  }

  letGo() {
    this.start = this.dragged = this.anchor = undefined;
    this.root.classList.remove("dragging");
  }

  key(event) {
    const last = this.spans.length - 1;
    const spanning = event.shiftKey && this.spec.spans;
    if (last < 0 || !(spanning || this.spec.chooses)) return;
    const place = this.place ?? 0;
    const from = spanning ? this.end ?? place : place;
    const steps = { ArrowLeft: from - 1, ArrowRight: from + 1, Home: 0, End: last };
    let to = steps[event.key];
    if (event.key === "ArrowUp") to = this.line(from, -1);
    if (event.key === "ArrowDown") to = this.line(from, 1);
    if (to === undefined || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    to = Math.min(last, Math.max(0, to));
    if (spanning) this.chooseSpan(place, to);
    else this.choose(to);
    this.spans[to].scrollIntoView({ block: "nearest" });
  }

  // The token above or below, as it stands on the screen.
  line(from, direction) {
    const boxes = this.spans.map((span) => span.getClientRects()[0] ?? span.getBoundingClientRect());
    const here = boxes[from];
    let best, least = Infinity;
    boxes.forEach((box, i) => {
      const lines = Math.round((box.top - here.top) / Math.max(1, here.height)) * direction;
      if (lines < 1) return;
      const far = lines * 10000 + Math.abs(box.left - here.left);
      if (far < least) [best, least] = [i, far];
    });
    return best ?? from;
  }

  // The marks of line ends are not part of the text.
  copy(event) {
    const chosen = getSelection().toString();
    const text = chosen ? chosen.replaceAll("⏎", "") : this.span ? this.spec.tokens.slice(this.span[0], this.span[1] + 1).join("") : "";
    if (!text) return;
    event.clipboardData.setData("text/plain", text);
    event.preventDefault();
  }

  remove() {
    removeEventListener("pointerup", this.up);
    removeEventListener("pointercancel", this.up);
    readers.delete(this.host);
  }
}

function ordered(one, other) {
  return one < other ? [one, other] : [other, one];
}
