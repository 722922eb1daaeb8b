(() => {
  "use strict";
  // The counts of groups of leads, the rules and the dials; the same sums as WhatIf.evaluate.
  const data = JSON.parse(document.getElementById("what-if-data").textContent);
  const root = document.getElementById("what-if");
  const cells = data.cells, n = cells.n.length, Z = 1.959963984540054;
  const DASH = "\u2013", MINUS = "\u2212", SPACE = "\u00a0";

  // ---- numbers as the rest of the page writes them -------------------------------------------
  const even = (value, digits) => {  // ties to even, like Python
    const scale = 10 ** digits, shifted = value * scale, low = Math.floor(shifted);
    if (shifted - low === 0.5 && shifted / scale === value) {
      return ((low % 2 === 0 ? low : low + 1) / scale).toFixed(digits);
    }
    return value.toFixed(digits);
  };
  const signed = text => text.replace("-", MINUS);
  const grouped = text => text.replace(/\B(?=(\d{3})+(?!\d))/g, ",");
  const whole = value => grouped(even(value, 0));
  const count = value => {
    const rounded = Number(even(value, 0));
    if (Math.abs(value) < 10 && Math.abs(value - rounded) > 0.05) return signed(even(value, 1));
    return signed(grouped(String(rounded)));
  };
  const digits = rate => {
    const percent = Math.abs(100 * rate);
    return percent === 0 || percent >= 9.95 ? 0 : percent >= 0.095 ? 1 : 2;
  };
  const percent = (rate, places) => {
    const text = even(100 * rate, places);
    return Number(text) ? signed(text) : text.replace("-", "");
  };
  const rate = value => percent(value, digits(value)) + SPACE + "%";
  const range = (low, high) => {
    const places = Math.max(low ? digits(low) : 0, high !== 1 ? digits(high) : 0);
    return percent(low, places) + DASH + percent(high, places) + SPACE + "%";
  };
  const money = value => {
    const size = Math.abs(value);
    let sign = value < 0 ? MINUS : "", text;
    if (size >= 999500) {
      const millions = size / 1e6;
      text = (size < 999500000 ? String(Number(millions.toPrecision(3))) : whole(millions)) + SPACE + "million";
    } else if (size >= 100) {
      const length = even(size, 0).length, step = 10 ** Math.max(0, length - 3);
      text = whole(Number(even(size / step, 0)) * step);
    } else {
      text = even(size, 2).replace(/\.00$/, "");
    }
    if (text === "0" || text === "0.00") { sign = ""; text = "0"; }
    return sign + (data.currency ? data.currency + SPACE : "") + text;
  };
  const wilson = (k, m) => {
    const p = k / m, zz = Z * Z, middle = (p + zz / (2 * m)) / (1 + zz / m);
    const half = Z / (1 + zz / m) * Math.sqrt(p * (1 - p) / m + zz / (4 * m * m));
    return [Math.max(0, middle - half), Math.min(1, middle + half)];
  };
  const few = data.smallest;
  const sayRate = (k, m) => {
    if (m < few) return m === 0 ? "nobody knows" : "too few";
    const [low, high] = wilson(k, m);
    return `${rate(k / m)} (${range(low, high)}, n${SPACE}=${SPACE}${count(m)})`;
  };
  const sayFew = value => value === 0 || value >= few ? count(value) : `under ${few}`;

  // ---- the rules ------------------------------------------------------------------------------
  const columns = data.axes.map((_, i) => cells["b" + i]);
  const handedOver = state => {
    const met = data.dials.map((dial, i) => {
      if (!state[i].used) return null;
      const wanted = new Uint8Array(data.axes[dial.axis].labels.length), column = columns[dial.axis], mask = new Uint8Array(n);
      for (const bin of state[i].bins) wanted[bin] = 1;
      for (let c = 0; c < n; c++) mask[c] = wanted[column[c]];
      return mask;
    });
    const nobody = new Uint8Array(n);
    const passes = node => {
      const masks = [];
      for (const member of node.members) {
        const mask = "dial" in member ? (member.dial >= 0 ? met[member.dial] : nobody) : passes(member);
        if (mask !== null) masks.push(mask);
      }
      if (!masks.length) return null;
      const needed = node.kind === "all_of" ? masks.length : node.kind === "any_of" ? 1 : Math.min(node.k, masks.length);
      const result = new Uint8Array(n);
      for (let c = 0; c < n; c++) {
        let sum = 0;
        for (const mask of masks) sum += mask[c];
        result[c] = sum >= needed ? 1 : 0;
      }
      return result;
    };
    const free = new Uint8Array(n).fill(1), handed = new Uint8Array(n);
    for (const entry of data.classes) {
      const taken = entry.rule === null ? null : passes(entry.rule);
      for (let c = 0; c < n; c++) {
        if (!free[c] || (taken !== null && !taken[c])) continue;
        if (entry.handed) handed[c] = 1;
        free[c] = 0;
      }
    }
    return handed;
  };
  const counted = ["n", "accepted_known", "accepted", "won_known", "won", "worth"];
  const add = (handed, only) => {
    const total = {};
    for (const name of counted) {
      const column = cells[name];
      let sum = 0;
      for (let c = 0; c < n; c++) if (handed[c] && (!only || only(c))) sum += column[c];
      total[name] = sum;
    }
    return total;
  };
  const sum = column => column.reduce((total, value) => total + value, 0);
  const allWon = sum(cells.won), allKnown = sum(cells.won_known);
  const scale = data.months || 1;
  const value = total => {  // [best, low, high] or null where nobody knows
    if (data.cost === null || data.price === null) return null;
    if (total.won_known < few || total.won_known < 0.5 * total.n) return null;
    const price = total.won ? total.worth / total.won : data.price;
    const [low, high] = wilson(total.won, total.won_known);
    return [total.won / total.won_known, low, high].map(r => total.n * (r * price - data.cost) / scale);
  };
  const sayExpected = (k, known, total) => {  // of all leads, if those without an answer are like the rest
    if (known < few || known < 0.5 * total) return "";
    const [best, low, high] = [k / known, ...wilson(k, known)].map(r => count(total * r / scale));
    return `about ${best} (${low} to ${high})${data.months ? " a month" : ""}`;
  };
  const sayValue = total => {
    if (data.cost === null || data.price === null) return "no price is signed";
    const found = value(total);
    if (found === null) return "nobody knows: too few of these leads have an answer";
    return `${money(found[0])} (${money(found[1])} to ${money(found[2])})`;
  };

  // ---- the page -------------------------------------------------------------------------------
  const make = (tag, attributes = {}, text) => {
    const element = document.createElement(tag);
    for (const [name, content] of Object.entries(attributes)) element.setAttribute(name, content);
    if (text !== undefined) element.textContent = text;
    return element;
  };
  const written = () => data.dials.map(d => ({ bins: [...d.bins], used: true, at: d.at, upper: d.upperAt, missing: d.missing }));
  const proposed = () => data.dials.map(d => ({
    bins: [...(d.proposedBins || d.bins)], used: !d.dropped, at: d.proposed >= 0 ? d.proposed : d.at,
    upper: d.upperAt, missing: d.missing,
  }));
  const sliding = dial => dial.kind === "threshold" || dial.kind === "range";
  let state = written(), active = data.dials.findIndex(d => d.proposed >= 0), end = "at";
  if (active < 0) active = data.dials.findIndex(sliding);

  const binsAt = (dial, own) => {
    const missing = data.axes[dial.axis].labels.length - 1, edge = dial.places[own.at], met = [];
    for (let bin = 0; bin < missing; bin++) {
      const inside = dial.kind === "range" ? bin > edge && bin <= dial.upperPlaces[own.upper]
        : dial.rising ? bin > edge : bin <= edge;
      if (inside) met.push(bin);
    }
    if (own.missing) met.push(missing);
    return met;
  };
  const handing = data.classes.filter(c => c.rule !== null).length > 1;
  const ruleOf = (dial, own) => (handing ? dial.address.split(".")[0] + ": " : "") + conditionOf(dial, own);
  const conditionOf = (dial, own) => {
    const axis = data.axes[dial.axis], unit = axis.unit ? " " + axis.unit : "";
    const or = own.missing ? " or not known" : "";
    if (dial.kind === "threshold") return `${axis.name} ${dial.sign} ${dial.names[own.at]}${unit}${or}`;
    if (dial.kind === "range") return `${axis.name} between ${dial.names[own.at]} and ${dial.upperNames[own.upper]}${unit}${or}`;
    if (dial.kind === "levels") return `${axis.name}: ${own.bins.map(bin => axis.labels[bin]).join(", ") || "nobody"}`;
    return dial.text;
  };

  const controls = root.querySelector(".dials"), redraws = [];
  data.dials.forEach((dial, i) => {
    const axis = data.axes[dial.axis];
    const box = make("fieldset", { class: "dial" }), legend = make("legend", { class: "rule" });
    box.append(legend);
    const use = make("input", { type: "checkbox", id: `wi-use-${i}`, "aria-label": `ask for ${dial.text}` });
    const useLabel = make("label", { for: `wi-use-${i}` }, "ask for this");
    use.addEventListener("change", () => { state[i].used = use.checked; show(i); });
    const inner = make("div");
    box.append(inner);
    const slider = (key, places, names, label) => {
      const input = make("input", { type: "range", min: 0, max: places.length - 1, step: 1, id: `wi-${key}-${i}`, "aria-label": label });
      input.addEventListener("input", () => {
        state[i][key] = Number(input.value); state[i].bins = binsAt(dial, state[i]); show(i, key);
      });
      inner.append(input);
      redraws.push(() => { input.value = state[i][key]; input.setAttribute("aria-valuetext", ruleOf(dial, state[i])); input.disabled = !state[i].used; });
    };
    if (dial.kind === "threshold") slider("at", dial.places, dial.names, `${axis.name} ${dial.sign}`);
    if (dial.kind === "range") {
      slider("at", dial.places, dial.names, `${axis.name} from`);
      slider("upper", dial.upperPlaces, dial.upperNames, `${axis.name} to`);
    }
    const shown = dial.kind === "levels" ? axis.labels.map((_, bin) => bin).filter(bin => columns[dial.axis].includes(bin))
      : dial.kind === "fixed" ? [] : [axis.labels.length - 1];
    for (const bin of shown) {
      const check = make("input", { type: "checkbox", id: `wi-bin-${i}-${bin}`, "aria-label": `${axis.name}: ${axis.labels[bin]}` });
      check.addEventListener("change", () => {
        if (bin === axis.labels.length - 1) state[i].missing = check.checked;
        const bins = new Set(state[i].bins);
        if (check.checked) bins.add(bin); else bins.delete(bin);
        state[i].bins = [...bins].sort((a, b) => a - b); show(i);
      });
      const label = make("label", { for: `wi-bin-${i}-${bin}` }, axis.labels[bin]);
      const pair = make("span", { class: "pick" });
      pair.append(check, label);
      inner.append(pair);
      redraws.push(() => { check.checked = state[i].bins.includes(bin); check.disabled = !state[i].used; });
    }
    const pair = make("div", { class: "pick use" });
    pair.append(use, useLabel);
    box.append(pair);
    redraws.push(() => {
      legend.textContent = ruleOf(dial, state[i]);
      use.checked = state[i].used;
      box.classList.toggle("off", !state[i].used);
    });
    controls.append(box);
  });
  root.querySelector("#wi-written").addEventListener("click", () => { state = written(); draw(); say(); });
  const toProposed = root.querySelector("#wi-proposed");
  if (data.turned) {
    toProposed.addEventListener("click", () => { state = proposed(); draw(); say(); });
  } else {
    toProposed.remove();
  }

  // What was turned last is what the curve is about; a check box leaves the curve where it was.
  const show = (i, key) => {
    if (key && sliding(data.dials[i])) { active = i; end = key; }
    draw();
    say();
  };
  let later = 0;
  const say = () => {  // one sentence for those who hear the page, when the hand rests
    clearTimeout(later);
    later = setTimeout(() => put("wi-said", spoken), 400);
  };
  let spoken = "";
  const put = (id, text) => { root.querySelector("#" + id).textContent = text; };
  const draw = () => {
    for (const redraw of redraws) redraw();
    const handed = handedOver(state), total = add(handed), missed = allWon - total.won;
    const others = allKnown - total.won_known;
    put("wi-leads", total.n === 0 || total.n >= few ? count(total.n / scale) : "too few");
    put("wi-accepted-count", sayExpected(total.accepted, total.accepted_known, total.n));
    put("wi-accepted", sayRate(total.accepted, total.accepted_known));
    put("wi-won-count", sayExpected(total.won, total.won_known, total.n));
    put("wi-won", sayRate(total.won, total.won_known));
    put("wi-missed", others >= few ? sayFew(missed) : "nobody knows");
    put("wi-missed-share", others < few || (missed > 0 && missed < few) ? "" : sayRate(missed, others));
    put("wi-value", sayValue(total));
    const said = id => root.querySelector("#" + id).textContent;
    spoken = `${said("wi-leads")} leads${data.months ? " a month" : ""}; accepted ${said("wi-accepted")}; won ${said("wi-won")}; value ${said("wi-value")}.`;
    const room = root.querySelector("#wi-capacity");
    if (data.capacity && data.months) {
      const over = total.n / scale - data.capacity;
      room.textContent = over > 0 ? `${count(over)} more than Sales can work` : `Sales can work ${count(data.capacity)}`;
      room.classList.toggle("over", over > 0);
    } else {
      room.textContent = data.months ? "" : "in all: these leads have no dates";
    }
    drawParts(handed);
    drawCurve();
  };
  const drawParts = handed => {
    const body = root.querySelector("#wi-parts tbody");
    body.replaceChildren();
    if (data.segment < 0) { root.querySelector("#wi-parts").hidden = true; return; }
    const axis = data.axes[data.segment], column = columns[data.segment];
    root.querySelector("#wi-parts caption").textContent = `By ${axis.name}`;
    axis.labels.forEach((label, bin) => {
      if (!column.includes(bin)) return;
      const part = add(handed, c => column[c] === bin), row = make("tr");
      row.append(make("th", { scope: "row" }, label));
      for (const [title, text] of [["To Sales", sayFew(part.n)], ["Accepted by Sales", sayRate(part.accepted, part.accepted_known)], ["Won", sayRate(part.won, part.won_known)]]) {
        row.append(make("td", { "data-label": title }, text));
      }
      body.append(row);
    });
  };

  // ---- the curve: one threshold against what it brings, all else as chosen ---------------------
  const SVG = "http://www.w3.org/2000/svg";
  const shape = (tag, attributes, text) => {
    const element = document.createElementNS(SVG, tag);
    for (const [name, content] of Object.entries(attributes)) element.setAttribute(name, content);
    if (text !== undefined) element.textContent = text;
    return element;
  };
  const drawCurve = () => {
    const svg = root.querySelector("#wi-curve"), words = root.querySelector("#wi-curve-words");
    svg.replaceChildren();
    const dial = data.dials[active], upper = dial && dial.kind === "range" && end === "upper";
    const places = !dial ? [] : upper ? dial.upperPlaces : dial.places;
    if (!dial || !sliding(dial) || places.length < 2) { words.textContent = ""; svg.setAttribute("hidden", ""); return; }
    svg.removeAttribute("hidden");
    const key = upper ? "upper" : "at", names = upper ? dial.upperNames : dial.names;
    const writtenAt = upper ? dial.upperAt : dial.at, chosen = state[active][key];
    const points = places.map((_, at) => {
      const own = { ...state[active], [key]: at, used: true };
      const other = state.map((each, i) => i === active ? { ...own, bins: binsAt(dial, own) } : each);
      const total = add(handedOver(other)), worth = value(total);
      return { at, money: worth ? worth[0] : null, won: total.won_known >= few ? total.won / total.won_known : null,
        accepted: total.accepted_known >= few ? total.accepted / total.accepted_known : null, leads: total.n / scale };
    });
    const kind = ["money", "won", "accepted"].find(k => points.filter(p => p[k] !== null).length > 1) || "leads";
    const title = { money: `Value${data.months ? " a month" : ""}`, won: "Share won", accepted: "Share accepted", leads: "Leads to Sales" }[kind];
    const form = { money, won: rate, accepted: rate, leads: count }[kind];
    const known = points.filter(p => p[kind] !== null), values = known.map(p => p[kind]);
    const low = Math.min(0, ...values), high = Math.max(...values, low + 1e-9);
    // As wide as its place, so that its letters keep their size on a phone.
    const W = Math.max(300, Math.min(576, root.clientWidth || 576)), H = 240, L = 92, R = 26, T = 46, B = 42;
    svg.setAttribute("viewBox", `0 0 ${W} ${H}`);
    const x = at => L + (W - L - R) * at / (places.length - 1);
    const y = v => T + (H - T - B) * (high - v) / (high - low);
    for (const v of new Set([low, high, ...(low < 0 ? [0] : [])])) {
      svg.append(shape("line", { x1: L, x2: W - R, y1: y(v), y2: y(v), class: "grid" }));
      svg.append(shape("text", { x: L - 6, y: y(v) + 4, "text-anchor": "end" }, form(v)));
    }
    const longest = Math.max(...names.map(name => name.length));
    const every = Math.ceil((7 * longest + 10) / ((W - L - R) / (places.length - 1)));
    names.forEach((name, at) => {
      if (at % every) return;
      svg.append(shape("text", { x: x(at), y: H - B + 16, "text-anchor": "middle" }, name));
    });
    const axis = data.axes[dial.axis], called = dial.kind === "range" ? `${axis.name}, ${upper ? "upper" : "lower"} end` : axis.name;
    svg.append(shape("text", { x: (L + W - R) / 2, y: H - 6, "text-anchor": "middle" }, called));
    svg.append(shape("polyline", { points: known.map(p => `${x(p.at)},${y(p[kind])}`).join(" "), class: "curve" }));
    for (const p of known) svg.append(shape("circle", { cx: x(p.at), cy: y(p[kind]), r: 3, class: "dot" }));
    const marks = [["written", writtenAt, "0"], ["chosen", chosen, "2 3"]];
    if (!upper && dial.proposed >= 0) marks.splice(1, 0, ["proposed", dial.proposed, "7 4"]);
    marks.forEach(([name, at, dash], row) => {
      const right = at > places.length / 2;
      svg.append(shape("line", { x1: x(at), x2: x(at), y1: T - 34 + 13 * row, y2: H - B, class: "mark", "stroke-dasharray": dash }));
      svg.append(shape("text", { x: x(at) + (right ? -4 : 4), y: T - 25 + 13 * row, "text-anchor": right ? "end" : "start", class: "name" }, name));
    });
    const now = points[chosen][kind];
    const said = `${title} by ${called}, all else as chosen: written ${names[writtenAt]}, `
      + (marks.length > 2 ? `proposed ${names[dial.proposed]}, ` : "")
      + `chosen ${names[chosen]}${now === null ? "" : ` (${form(now)})`}`
      + ".";
    words.textContent = said + (known.length < points.length ? " Where the line ends nobody knows." : "");
    svg.setAttribute("aria-label", said);
  };
  root.hidden = false;
  draw();
  window.addEventListener("resize", drawCurve);
})();
