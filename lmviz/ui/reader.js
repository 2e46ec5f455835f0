// A text whose tokens can be chosen, one or a span. Spans of the page are kept; an update only changes how they look.

const readers = new WeakMap(); // the element Streamlit gives us -> its Reader
const CHOOSE_WAIT = 80; // milliseconds in which a held arrow key moves on before the server is told
const ANSWER_WAIT = 3000; // after which the server's word holds again, whatever it is

export default function (component) {
  const host = component.parentElement;
  if (!readers.has(host)) readers.set(host, new Reader(host));
  readers.get(host).update(component.data, component.setTriggerValue);
  return () => setTimeout(() => host.isConnected || readers.get(host)?.remove());
}

class Reader {
  constructor(host) {
    this.host = host;
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
    // What was chosen here a moment ago is newer than what the server speaks of.
    if (spec.chosen === this.chosen) this.settle();
    if (!this.pending) this.mark(spec.chosen);
    if (this.told && same(spec.span, this.told)) this.told = undefined;
    if (!this.anchor && !this.told) this.frame(spec.span);
    this.say(this.chosen);
  }

  fill(spec) {
    this.settle();
    this.chosen = this.told = this.start = this.anchor = this.end = undefined;
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
    if (at === null || at === undefined) return;
    this.spans[at]?.classList.add("chosen");
    this.spans[at]?.setAttribute("aria-selected", "true");
    this.root.setAttribute("aria-activedescendant", this.spans[at]?.id ?? "");
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
    this.say(at);
    clearTimeout(this.pending);
    this.pending = setTimeout(() => {
      this.send("choose", at);
      // Until the server has answered, what it says of the choice before is old.
      this.pending = setTimeout(() => this.settle(), ANSWER_WAIT);
    }, CHOOSE_WAIT);
  }

  settle() {
    clearTimeout(this.pending);
    this.pending = undefined;
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
    if (event.shiftKey && this.spec.spans && this.chosen !== null) {
      event.preventDefault();
      this.root.focus();
      this.tell(ordered(this.chosen, at));
      return;
    }
    this.start = at;
    if (this.spec.spans && event.pointerType === "mouse") {
      event.preventDefault(); // no selection of the page's own
      this.root.focus();
      this.anchor = true;
    }
  }

  move(event) {
    const at = this.at(event);
    if (at === undefined) return;
    this.say(at);
    if (this.anchor && at !== this.start) {
      this.dragged = true;
      this.frame(ordered(this.start, at));
    }
  }

  release(event) {
    const { start, dragged } = this;
    this.start = this.dragged = this.anchor = undefined;
    if (start === undefined) return;
    if (dragged) this.tell(this.span);
    else if (this.spec.chooses && event.type === "pointerup") this.choose(start);
  }

  tell(span) {
    this.frame(span);
    this.told = span;
    this.send("span", span);
  }

  key(event) {
    const last = this.spans.length - 1;
    const from = event.shiftKey && this.spec.spans ? this.end ?? this.chosen ?? 0 : this.chosen ?? 0;
    const steps = { ArrowLeft: from - 1, ArrowRight: from + 1, Home: 0, End: last };
    let to = steps[event.key];
    if (event.key === "ArrowUp") to = this.line(from, -1);
    if (event.key === "ArrowDown") to = this.line(from, 1);
    if (to === undefined || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    to = Math.min(last, Math.max(0, to));
    if (event.shiftKey && this.spec.spans) {
      this.end = to;
      this.tell(ordered(this.chosen ?? 0, to));
    } else if (this.spec.chooses) {
      this.end = undefined;
      this.choose(to);
      this.spans[to].scrollIntoView({ block: "nearest" });
    }
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

function same(one, other) {
  return one?.[0] === other[0] && one?.[1] === other[1];
}
