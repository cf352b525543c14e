"use strict";
const at = (id) => document.getElementById(id);

function say(words, wrong = false) {
  at("said").textContent = words;
  at("said").classList.toggle("wrong", wrong);
}

async function ask(path, options) {
  const response = await fetch(path, options);
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.detail);
  return answer;
}

function read(file) {
  return new Promise((done, failed) => {
    const reader = new FileReader();
    reader.onload = () => done(reader.result);
    reader.onerror = () => failed(reader.error);
    reader.readAsDataURL(file);
  });
}

function element(sample) {
  const kind = typeof sample === "string" && /^data:(image|audio|video)\//.exec(sample)?.[1];
  const made = document.createElement(kind ? { image: "img" }[kind] ?? kind : "pre");
  if (!kind) made.textContent = typeof sample === "string" ? sample : JSON.stringify(sample);
  else Object.assign(made, { src: sample, alt: "a sample", controls: true });
  return made;
}

// Of a setting without a default its type is not known: what reads as JSON, such as a number, is that.
function valueOf(input, usual) {
  if (input.type === "checkbox") return input.checked;
  if (input.type === "number") return Number(input.value);
  if (usual !== null) return input.value;
  if (input.value === "") return null;
  try {
    return JSON.parse(input.value);
  } catch {
    return input.value;
  }
}

async function start() {
  const model = await ask("model");
  document.title = at("name").textContent = model.name;
  at("takes").textContent = model.takes;
  at("n").max = model.most;
  at("n").value = Math.min(4, model.most);
  at("text").hidden = model.files;
  at("upload").hidden = !model.files;
  at("prompt").placeholder = model.labels.slice(0, 5).join(", ") + (model.labels.length > 5 ? ", ..." : "");
  at("labels").append(...model.labels.map((label) => new Option(label)));
  for (const [name, value] of Object.entries(model.settings)) {
    const label = document.createElement("label");
    const input = document.createElement("input");
    input.name = name;
    input.type = { number: "number", boolean: "checkbox" }[typeof value] ?? "text";
    if (input.type === "number") input.step = "any";
    if (input.type === "checkbox") input.checked = value;
    else input.value = value ?? "";
    label.append(`${name} `, input);
    at("settings").append(label);
  }
  const asked = new URLSearchParams(location.search);  // a link to what was drawn
  for (const name of ["prompt", "n", "seed"]) if (asked.has(name)) at(name).value = asked.get(name);
  for (const input of at("settings").querySelectorAll("input")) {
    if (!asked.has(input.name)) continue;
    if (input.type === "checkbox") input.checked = asked.get(input.name) === "true";
    else input.value = asked.get(input.name);
  }
  at("form").addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = at("form").querySelector("button");
    button.disabled = true;
    say("drawing ...");
    try {
      const said = [...at("settings").querySelectorAll("input")].map((it) => [it.name, valueOf(it, model.settings[it.name])]);
      const settings = Object.fromEntries(said.filter(([name, value]) => value !== model.settings[name]));
      const file = at("file").files[0];
      const answer = await ask("sample", {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify({
          prompt: model.files ? (file ? await read(file) : null) : at("prompt").value || null,
          n: Number(at("n").value),
          seed: at("seed").value === "" ? null : Number(at("seed").value),
          settings,
        }),
      });
      at("samples").replaceChildren(...answer.samples.map(element));
      say(`seed ${answer.seed}`);
      const link = { prompt: at("prompt").value, n: at("n").value, seed: answer.seed, ...settings };
      if (!model.files) history.replaceState(null, "", `?${new URLSearchParams(link)}`);
    } catch (error) {
      say(error.message, true);
    } finally {
      button.disabled = false;
    }
  });
  if (asked.has("seed")) at("form").requestSubmit();
}

start().catch((error) => say(error.message, true));
