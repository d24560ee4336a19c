//! The engine: instances as records in memory. Knows nothing of the ABI; every function is safe Rust.

use crate::json::{parse, quote, Json};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::abi;

/// A status, a stable word and a sentence.
#[derive(Debug)]
pub struct Failure {
    pub status: abi::Status,
    pub reason: &'static str,
    pub message: String,
}

pub type Answer<T> = Result<T, Failure>;
pub type Labels = BTreeMap<String, String>;

pub fn failure<T>(status: abi::Status, reason: &'static str, message: impl Into<String>) -> Answer<T> {
    Err(Failure { status, reason, message: message.into() })
}

fn bad<T>(message: impl Into<String>) -> Answer<T> {
    failure(abi::INVALID_ARGUMENT, "BAD_SPEC", message)
}

#[derive(Clone, Copy, PartialEq)]
pub enum State {
    Created,
    Running,
    Paused,
    Exited,
}

impl State {
    fn word(self) -> &'static str {
        match self {
            State::Created => "created",
            State::Running => "running",
            State::Paused => "paused",
            State::Exited => "exited",
        }
    }
}

struct Instance {
    reference: String,
    name: String,
    image: String,
    labels: Labels,
    ports: Vec<(String, u16)>,
    memory_limit: u64,
    state: State,
    created_ms: u128,
    started_ms: u128,
    starts: u32, // part of the endpoints' epoch
}

struct Event {
    line: String,
    labels: Labels,
}

const EVENTS_KEPT: usize = 4096;

#[derive(Default)]
struct Inside {
    instances: Vec<Instance>,
    last_reference: u64,
    events: VecDeque<Event>,
    dropped: usize, // events that fell out of the front
    subscribers: usize,
    ending: bool,
}

#[derive(Default)]
pub struct Engine {
    inside: Mutex<Inside>,
    changed: Condvar,
}

fn now_ms() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).map(|d| d.as_millis()).unwrap_or(0)
}

fn matches(have: &Labels, wanted: &Labels) -> bool {
    wanted.iter().all(|(key, value)| have.get(key) == Some(value))
}

/// {"k": "v"} as labels.
pub fn read_labels(document: &[u8]) -> Answer<Labels> {
    match parse(document) {
        Ok(json) => labels_of(&json, "the label filter"),
        Err(problem) => failure(abi::INVALID_ARGUMENT, "BAD_JSON", format!("label filter: {}", problem)),
    }
}

fn labels_of(json: &Json, what: &str) -> Answer<Labels> {
    let mut labels = Labels::new();
    let members = match json {
        Json::Object(members) => members,
        _ => return bad(format!("{} has to be an object of texts", what)),
    };
    for (key, value) in members {
        match value {
            Json::Text(text) if !key.is_empty() => labels.insert(key.clone(), text.clone()),
            _ => return bad(format!("{}: \"{}\" has to be a text with a name", what, key)),
        };
    }
    Ok(labels)
}

fn is_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric();
    name.len() <= 128
        && name.starts_with(plain)
        && name.chars().all(|c| plain(c) || matches!(c, '_' | '.' | '-'))
}

type Members = BTreeMap<String, Json>;

fn text_of(spec: &Members, key: &str) -> Answer<String> {
    match spec.get(key) {
        Some(Json::Text(text)) => Ok(text.clone()),
        _ => bad(format!("\"{}\" is missing; it has to be a text", key)),
    }
}

fn number_of(spec: &Members, key: &str, low: f64, high: f64, whole: bool) -> Answer<f64> {
    match spec.get(key) {
        None | Some(Json::Null) => Ok(0.0),
        Some(Json::Number(n)) if *n >= low && *n <= high && (!whole || n.fract() == 0.0) => Ok(*n),
        _ => bad(format!("\"{}\" has to be a number from {} to {}", key, low, high)),
    }
}

fn list_of<'a>(spec: &'a Members, key: &str, fits: fn(&Json) -> bool) -> Answer<&'a [Json]> {
    match spec.get(key) {
        None | Some(Json::Null) => Ok(&[]),
        Some(Json::List(items)) if items.iter().all(fits) => Ok(items),
        _ => bad(format!("\"{}\" has to be a list, and its items of one kind", key)),
    }
}

fn is_text(json: &Json) -> bool {
    matches!(json, Json::Text(_))
}

fn is_object(json: &Json) -> bool {
    matches!(json, Json::Object(_))
}

fn ports_of(spec: &Members) -> Answer<Vec<(String, u16)>> {
    let mut ports = Vec::new();
    for item in list_of(spec, "ports", is_object)? {
        if let Json::Object(port) = item {
            let number = number_of(port, "containerPort", 1.0, 65535.0, true)?;
            if number == 0.0 {
                return bad("a port has no \"containerPort\"");
            }
            ports.push((text_of(port, "name")?, number as u16));
        }
    }
    Ok(ports)
}

fn read_spec(document: &[u8]) -> Answer<Instance> {
    let spec = match parse(document) {
        Ok(Json::Object(members)) => members,
        Ok(_) => return failure(abi::INVALID_ARGUMENT, "BAD_JSON", "the spec has to be a JSON object"),
        Err(problem) => return failure(abi::INVALID_ARGUMENT, "BAD_JSON", format!("instance spec: {}", problem)),
    };
    let name = text_of(&spec, "name")?;
    let image = text_of(&spec, "image")?;
    if !is_name(&name) || image.is_empty() {
        return bad("\"name\" has to be letters, digits, dots and dashes, at most 128, and \"image\" a text");
    }
    let memory = number_of(&spec, "memoryBytes", 0.0, 1e15, true)?;
    if memory != 0.0 && memory < 1048576.0 {
        return bad("\"memoryBytes\" is below 1 MB");
    }
    number_of(&spec, "cpus", 0.0, 4096.0, false)?;
    number_of(&spec, "pidsLimit", 0.0, 4194304.0, true)?;
    match spec.get("restart") {
        None | Some(Json::Null) => {}
        Some(Json::Text(word)) if matches!(word.as_str(), "no" | "always" | "unless-stopped" | "on-failure") => {}
        _ => return bad("\"restart\" has to be no, always, unless-stopped or on-failure"),
    }
    list_of(&spec, "command", is_text)?;
    list_of(&spec, "hostAliases", is_text)?;
    list_of(&spec, "networks", is_object)?;
    list_of(&spec, "volumes", is_object)?;
    if let Some(env) = spec.get("env") {
        let variables = match env {
            Json::Object(members) => members.values().all(is_text),
            _ => false,
        };
        if !variables {
            return bad("\"env\" has to be an object of texts");
        }
    }
    let labels = match spec.get("labels") {
        None | Some(Json::Null) => Labels::new(),
        Some(json) => labels_of(json, "\"labels\"")?,
    };
    Ok(Instance {
        reference: String::new(),
        name,
        image,
        labels,
        ports: ports_of(&spec)?,
        memory_limit: memory as u64,
        state: State::Created,
        created_ms: now_ms(),
        started_ms: 0,
        starts: 0,
    })
}

impl Instance {
    /// Made by the same operation, or from the same spec. Labels that are missing are equal to nothing.
    fn is_same(&self, wanted: &Instance) -> bool {
        [abi::LABEL_OPERATION, abi::LABEL_SPEC_HASH].iter().any(|key| {
            let theirs = wanted.labels.get(*key).filter(|value| !value.is_empty());
            theirs.is_some() && self.labels.get(*key) == theirs
        })
    }

    fn is_up(&self) -> bool {
        matches!(self.state, State::Running | State::Paused)
    }

    fn endpoints(&self) -> String {
        let ports: &[(String, u16)] = if self.is_up() { &self.ports } else { &[] };
        let all: Vec<String> = ports
            .iter()
            .map(|(name, port)| {
                format!(
                    "{{\"name\": {}, \"address\": \"127.0.0.1\", \"port\": {}, \"scope\": \"host\", \"epoch\": \"{}-{}\"}}",
                    quote(name), port, self.reference, self.starts
                )
            })
            .collect();
        format!("[{}]", all.join(", "))
    }

    fn describe(&self) -> String {
        let labels: Vec<String> = self.labels.iter().map(|(k, v)| format!("{}: {}", quote(k), quote(v))).collect();
        format!(
            "{{\"ref\": {}, \"name\": {}, \"state\": \"{}\", \"image\": {}, \"imageDigest\": \"\", \"labels\": {{{}}}, \
             \"createdAt\": {}, \"startedAt\": {}, \"exitCode\": 0, \"oomKilled\": false, \"error\": \"\", \
             \"health\": \"none\", \"endpoints\": {}}}",
            quote(&self.reference), quote(&self.name), self.state.word(), quote(&self.image), labels.join(", "),
            self.created_ms, self.started_ms, self.endpoints()
        )
    }
}

impl Inside {
    fn find(&self, reference: &str) -> Option<usize> {
        self.instances.iter().position(|i| i.reference == reference || i.name == reference)
    }

    fn tell(&mut self, at: usize, kind: &str) {
        let about = &self.instances[at];
        let line = format!(
            "{{\"type\": \"{}\", \"ref\": {}, \"name\": {}, \"time\": {}, \"exitCode\": 0}}",
            kind, quote(&about.reference), quote(&about.name), now_ms()
        );
        self.events.push_back(Event { line, labels: about.labels.clone() });
        if self.events.len() > EVENTS_KEPT {
            self.events.pop_front();
            self.dropped += 1;
        }
    }

    fn enter(&mut self, at: usize, to: State, event: &str) {
        let instance = &mut self.instances[at];
        if to == State::Running && instance.state != State::Paused {
            instance.started_ms = now_ms();
            instance.starts += 1;
        }
        instance.state = to;
        self.tell(at, event);
    }
}

fn absent<T>(reference: &str) -> Answer<T> {
    let shown: String = reference.chars().filter(|c| !c.is_control()).take(60).collect();
    failure(abi::NOT_FOUND, "INSTANCE_NOT_FOUND", format!("there is no instance \"{}\"", shown))
}

/// A step from one state to another.
pub struct Step {
    pub to: State,
    pub from: &'static [State],
    pub event: &'static str,
}

pub const START: Step = Step { to: State::Running, from: &[State::Created, State::Exited, State::Paused], event: "started" };
pub const PAUSE: Step = Step { to: State::Paused, from: &[State::Running], event: "paused" };
pub const UNPAUSE: Step = Step { to: State::Running, from: &[State::Paused], event: "unpaused" };

impl Engine {
    /// A panic elsewhere must not take the engine away from everybody else.
    fn lock(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    pub fn create(&self, spec: &[u8], operation: &str) -> Answer<String> {
        let mut made = read_spec(spec)?;
        if !operation.is_empty() {
            made.labels.entry(abi::LABEL_OPERATION.to_string()).or_insert_with(|| operation.to_string());
        }
        let mut inside = self.lock();
        let reference = match inside.instances.iter().find(|i| i.name == made.name) {
            Some(holder) if holder.is_same(&made) => holder.reference.clone(),
            Some(holder) => {
                let message = format!("there already is an instance named {}, of another specification: remove it first", holder.name);
                return failure(abi::ALREADY_EXISTS, "NAME_IN_USE", message);
            }
            None => {
                inside.last_reference += 1;
                made.reference = format!("rust-{}-{:x}", inside.last_reference, now_ms());
                let reference = made.reference.clone();
                inside.instances.push(made);
                let at = inside.instances.len() - 1;
                inside.tell(at, "created");
                reference
            }
        };
        self.changed.notify_all();
        Ok(format!("{{\"ref\": {}}}", quote(&reference)))
    }

    pub fn step(&self, reference: &str, step: &Step) -> Answer<()> {
        let mut inside = self.lock();
        let at = match inside.find(reference) {
            Some(at) => at,
            None => return absent(reference),
        };
        let state = inside.instances[at].state;
        if state == step.to {
            return Ok(());
        }
        if !step.from.contains(&state) {
            let message = format!("{} is {}", inside.instances[at].name, state.word());
            return failure(abi::FAILED_PRECONDITION, "WRONG_STATE", message);
        }
        inside.enter(at, step.to, step.event);
        self.changed.notify_all();
        Ok(())
    }

    /// What is absent or does not run has ended already.
    pub fn stop(&self, reference: &str) {
        let mut inside = self.lock();
        if let Some(at) = inside.find(reference).filter(|at| inside.instances[*at].is_up()) {
            inside.enter(at, State::Exited, "stopped");
            self.changed.notify_all();
        }
    }

    pub fn remove(&self, reference: &str, force: bool) -> Answer<()> {
        let mut inside = self.lock();
        if let Some(at) = inside.find(reference) {
            if inside.instances[at].is_up() && !force {
                let message = format!("{} runs: stop it first, or remove it by force", inside.instances[at].name);
                return failure(abi::FAILED_PRECONDITION, "INSTANCE_RUNNING", message);
            }
            inside.tell(at, "removed");
            inside.instances.remove(at);
            self.changed.notify_all();
        }
        Ok(())
    }

    fn look(&self, reference: &str, describe: impl Fn(&Instance) -> String) -> Answer<String> {
        let inside = self.lock();
        match inside.find(reference) {
            Some(at) => Ok(describe(&inside.instances[at])),
            None => absent(reference),
        }
    }

    pub fn inspect(&self, reference: &str) -> Answer<String> {
        self.look(reference, Instance::describe)
    }

    pub fn endpoints(&self, reference: &str) -> Answer<String> {
        self.look(reference, Instance::endpoints)
    }

    pub fn stats(&self, reference: &str) -> Answer<String> {
        self.look(reference, |i| {
            format!(
                "{{\"cpuNanos\": 0, \"memoryBytes\": 0, \"memoryLimitBytes\": {}, \"pids\": {}, \"networkRxBytes\": 0, \
                 \"networkTxBytes\": 0}}",
                i.memory_limit, i.is_up() as u8
            )
        })
    }

    pub fn list(&self, labels: &Labels) -> Vec<String> {
        self.lock().instances.iter().filter(|i| matches(&i.labels, labels)).map(Instance::describe).collect()
    }

    pub fn subscribe(&self) -> usize {
        let mut inside = self.lock();
        inside.subscribers += 1;
        inside.dropped + inside.events.len()
    }

    pub fn unsubscribe(&self) {
        self.lock().subscribers -= 1;
        self.changed.notify_all();
    }

    /// Events from number `next` on that match; waits a little when there are none. None once the engine ends.
    pub fn events_since(&self, next: &mut usize, labels: &Labels) -> Option<Vec<String>> {
        let mut inside = self.lock();
        if *next == inside.dropped + inside.events.len() && !inside.ending {
            let moment = Duration::from_millis(20); // how late a cancellation may be noticed
            inside = match self.changed.wait_timeout(inside, moment) {
                Ok((guard, _)) => guard,
                Err(poisoned) => poisoned.into_inner().0,
            };
        }
        if inside.ending {
            return None;
        }
        let skip = next.saturating_sub(inside.dropped);
        let lines = inside.events.iter().skip(skip).filter(|e| matches(&e.labels, labels)).map(|e| e.line.clone()).collect();
        *next = inside.dropped + inside.events.len();
        Some(lines)
    }

    /// Ends all subscriptions, and waits for them.
    pub fn end(&self) {
        let mut inside = self.lock();
        inside.ending = true;
        self.changed.notify_all();
        while inside.subscribers != 0 {
            inside = match self.changed.wait(inside) {
                Ok(guard) => guard,
                Err(poisoned) => poisoned.into_inner(),
            };
        }
    }
}
