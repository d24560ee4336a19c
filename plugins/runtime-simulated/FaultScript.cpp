#include "FaultScript.h"

#include "Glob.h"
#include "Latency.h"
#include "Random.h"

#include <matrixos/json.hpp>
#include <matrixos/json_text.hpp>

#include <algorithm>
#include <charconv>
#include <cstdlib>

namespace matrixos::simulated {

namespace {

constexpr std::array<std::string_view, 3> kSourceNames{"control", "file", "config"};
constexpr std::size_t kMostRules = 1000;
/// Keeps the random numbers of rules apart from those of latencies.
constexpr std::uint64_t kStreams = 1000;

Error badFault(const std::string &text) {
  return Error(Status::InvalidArgument, "fault rule: " + text, "BAD_FAULT");
}

std::string listOf(const auto &names) {
  std::string text;
  for (const std::string_view name : names)
    text += (text.empty() ? "" : ", ") + std::string(name);
  return text;
}

std::optional<CallKind> readCall(std::string_view name) {
  if (name == "*") return std::nullopt;
  const auto call = callNamed(name);
  if (!call) throw badFault("there is no call \"" + std::string(name) + "\"; there are *, " + listOf(kCallNames));
  return call;
}

Effect readEffect(std::string_view name) {
  const auto found = std::find(kEffectNames.begin(), kEffectNames.end(), name);
  if (found == kEffectNames.end()) {
    throw badFault("there is no effect \"" + std::string(name) + "\"; there are " + listOf(kEffectNames));
  }
  return static_cast<Effect>(found - kEffectNames.begin());
}

std::uint64_t readCount(std::string_view key, std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failure != std::errc{} || end != text.data() + text.size() || value == 0) {
    throw badFault(std::string(key) + " has to be a whole number from 1, not \"" + std::string(text) + "\"");
  }
  return value;
}

double readProbability(double value) {
  if (!(value > 0 && value <= 1)) throw badFault("probability has to be above 0 and at most 1, like 0.01");
  return value;
}

/// What no rule can mean is said now rather than never strike.
FaultRule checked(FaultRule rule) {
  const auto isOneOf = [&](std::initializer_list<CallKind> calls) {
    return rule.call && std::find(calls.begin(), calls.end(), *rule.call) != calls.end();
  };
  if (rule.effect == Effect::Exit && !isOneOf({CallKind::Start})) throw badFault("only start can exit");
  if (rule.effect == Effect::HalfList && !isOneOf({CallKind::List, CallKind::Logs, CallKind::Events, CallKind::Pull})) {
    throw badFault("half_list is for list, logs, events and pull; others have half_reply");
  }
  if (rule.effect == Effect::Slow && rule.delay.count() == 0) throw badFault("slow needs a delay, like delay=500ms");
  if (rule.nth != 0 && rule.every != 0) throw badFault("nth and every exclude each other");
  return rule;
}

void readOption(FaultRule &rule, std::string_view key, std::string_view value) {
  if (key == "name" || key == "image" || key == "volume") {
    rule.match = value;
  } else if (key == "nth") {
    rule.nth = readCount(key, value);
  } else if (key == "every") {
    rule.every = readCount(key, value);
  } else if (key == "times") {
    rule.times = readCount(key, value);
  } else if (key == "probability") {
    rule.probability = readProbability(std::strtod(std::string(value).c_str(), nullptr));
  } else if (key == "delay") {
    rule.delay = parseDuration(value);
  } else {
    throw badFault("there is no option \"" + std::string(key) +
                   "\"; there are name, image, volume, nth, every, times, probability and delay");
  }
}

std::string_view takeWord(std::string_view &line) {
  line.remove_prefix(std::min(line.find_first_not_of(" \t"), line.size()));
  const std::string_view word = line.substr(0, line.find_first_of(" \t"));
  line.remove_prefix(word.size());
  return word;
}

std::uint64_t countMember(const json::Object &object, const std::string &key) {
  if (!object.has(key)) return 0;
  return readCount(key, std::to_string(json::getInt(object, key, 0)));
}

FaultRule readRule(const json::Object &object) {
  static constexpr std::array<std::string_view, 9> kMembers{"call",        "match",  "nth",     "every",  "times",
                                                            "probability", "effect", "delayMs", "message"};
  for (const std::string &member : object.getNames()) {
    if (std::find(kMembers.begin(), kMembers.end(), member) == kMembers.end()) {
      throw badFault("there is no member \"" + member + "\"; there are " + listOf(kMembers));
    }
  }
  FaultRule rule;
  rule.call = readCall(json::findString(object, "call").value_or("*"));
  rule.effect = readEffect(json::getString(object, "effect"));
  if (const json::Object::Ptr match = json::findObject(object, "match")) {
    for (const std::string &key : match->getNames()) {
      if (key != "name" && key != "image" && key != "volume") throw badFault("match takes name, image or volume");
      rule.match = json::getString(*match, key);
    }
  }
  rule.nth = countMember(object, "nth");
  rule.every = countMember(object, "every");
  rule.times = countMember(object, "times");
  rule.probability = readProbability(json::getNumber(object, "probability", 1));
  rule.delay = std::chrono::milliseconds(json::getInt(object, "delayMs", 0));
  if (rule.delay.count() < 0) throw badFault("delayMs is negative");
  rule.message = json::findString(object, "message").value_or("");
  return checked(std::move(rule));
}

std::string ruleJson(const FaultRule &rule, std::string_view source, std::uint64_t matched, std::uint64_t struck) {
  JsonObject object;
  object.add("source", source).add("call", rule.call ? nameOf(*rule.call) : "*").add("effect", nameOf(rule.effect));
  if (!rule.match.empty()) object.add("match", rule.match);
  if (rule.nth != 0) object.add("nth", rule.nth);
  if (rule.every != 0) object.add("every", rule.every);
  if (rule.times != 0) object.add("times", rule.times);
  if (rule.probability < 1) object.addRaw("probability", json::dump(json::Value(rule.probability)));
  if (rule.delay.count() != 0) object.add("delayMs", static_cast<std::int64_t>(rule.delay.count()));
  object.add("matched", matched).add("struck", struck);
  return std::move(object).str();
}

} // namespace

FaultRule FaultRule::parseLine(std::string_view line) {
  const std::string whole(line);
  FaultRule rule;
  const std::string_view call = takeWord(line);
  const std::string_view effect = takeWord(line);
  if (effect.empty()) {
    throw badFault("\"" + whole + "\" is too short; write call, effect and options, like create lost_reply nth=3");
  }
  rule.call = readCall(call);
  rule.effect = readEffect(effect);
  for (std::string_view word = takeWord(line); !word.empty(); word = takeWord(line)) {
    const std::size_t equals = word.find('=');
    if (equals == std::string_view::npos) throw badFault("\"" + std::string(word) + "\" is no option; write key=value");
    readOption(rule, word.substr(0, equals), word.substr(equals + 1));
  }
  return checked(std::move(rule));
}

std::vector<FaultRule> FaultRule::parseJson(std::string_view text) {
  const json::Value root = json::parse(text);
  json::Array::Ptr array;
  if (root.type() == typeid(json::Array::Ptr)) array = root.extract<json::Array::Ptr>();
  if (root.type() == typeid(json::Object::Ptr)) array = json::findArray(*root.extract<json::Object::Ptr>(), "rules");
  if (!array) throw badFault("write an array of rules, or an object with the member \"rules\"");
  if (array->size() > kMostRules) throw badFault("there are more than 1000 rules");
  std::vector<FaultRule> rules;
  for (const json::Value &item : *array) {
    if (item.type() != typeid(json::Object::Ptr)) throw badFault("a rule has to be an object");
    rules.push_back(readRule(*item.extract<json::Object::Ptr>()));
  }
  return rules;
}

void FaultScript::replace(Source source, std::vector<FaultRule> rules) {
  {
    const std::lock_guard lock(mutex_);
    entries_[static_cast<std::size_t>(source)].clear();
  }
  append(source, std::move(rules));
}

void FaultScript::append(Source source, std::vector<FaultRule> rules) {
  const auto index = static_cast<std::size_t>(source);
  const std::lock_guard lock(mutex_);
  std::vector<Entry> &list = entries_[index];
  if (list.size() + rules.size() > kMostRules) throw badFault("there are more than 1000 rules");
  for (FaultRule &rule : rules) {
    const std::uint64_t stream = kStreams * (index + 1) + list.size();
    list.push_back({std::move(rule), stream, 0, 0});
  }
}

bool FaultScript::strikes(Entry &entry) const {
  const FaultRule &rule = entry.rule;
  ++entry.matched;
  if (rule.times != 0 && entry.struck >= rule.times) return false;
  if (rule.nth != 0) return entry.matched == rule.nth;
  if (rule.every != 0) return entry.matched % rule.every == 0;
  return rule.probability >= 1 || fractionAt(seed_, entry.stream, entry.matched) < rule.probability;
}

std::optional<InjectedFault> FaultScript::decide(CallKind call, std::string_view subject) {
  std::optional<InjectedFault> fault;
  const std::lock_guard lock(mutex_);
  for (std::vector<Entry> &list : entries_) {
    for (Entry &entry : list) {
      const FaultRule &rule = entry.rule;
      if (rule.call && *rule.call != call) continue;
      if (!rule.match.empty() && !globMatches(rule.match, subject)) continue;
      // Every rule counts every call, so that one does not shift the other's count.
      if (!strikes(entry) || fault) continue;
      ++entry.struck;
      fault = InjectedFault{rule.effect, rule.delay, rule.message};
    }
  }
  return fault;
}

std::string FaultScript::json() const {
  JsonArray array;
  const std::lock_guard lock(mutex_);
  for (std::size_t source = 0; source < entries_.size(); ++source) {
    for (const Entry &entry : entries_[source])
      array.add(ruleJson(entry.rule, kSourceNames[source], entry.matched, entry.struck));
  }
  return std::move(array).str();
}

} // namespace matrixos::simulated
