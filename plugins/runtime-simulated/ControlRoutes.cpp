#include "ControlRoutes.h"

#include <matrixos/json.hpp>
#include <matrixos/json_text.hpp>

namespace matrixos::simulated {

namespace {

constexpr std::uint64_t kMaxBody = std::uint64_t{1} << 20U;
constexpr std::int64_t kMostMade = 1'000'000;
constexpr std::size_t kWriteSize = 64U * 1024;
constexpr const char *kRead = "operator:platform:read";
constexpr const char *kWrite = "operator:platform:write";

json::Object::Ptr bodyOf(const Exchange &exchange) {
  const std::string_view body = exchange.body();
  return json::parseObject(body.empty() ? "{}" : body);
}

std::vector<std::string> textsOf(const json::Object &object, const std::string &key) {
  std::vector<std::string> texts;
  const json::Array::Ptr array = json::findArray(object, key);
  if (!array) return texts;
  for (const json::Value &item : *array) {
    if (!item.isString()) throw Error(Status::InvalidArgument, "\"" + key + "\" has to hold strings", "BAD_FIELD");
    texts.push_back(item.convert<std::string>());
  }
  return texts;
}

/// `text` with the number in place of each "{n}".
std::string numbered(const std::string &text, std::int64_t number) {
  std::string digits = std::to_string(number);
  digits.insert(0, digits.size() < 6 ? 6 - digits.size() : 0, '0');
  std::string out;
  std::size_t from = 0;
  for (std::size_t at = text.find("{n}"); at != std::string::npos; at = text.find("{n}", from)) {
    out.append(text, from, at - from).append(digits);
    from = at + 3;
  }
  return out.append(text, from);
}

void answerCount(Exchange &exchange, std::string_view key, std::size_t count) {
  JsonObject answer;
  answer.add(key, static_cast<std::uint64_t>(count));
  exchange.json(200, std::move(answer).str());
}

} // namespace

ControlRoutes::ControlRoutes(const mos_host_v1 *host, SimulatedEngine &engine, SimulatedRuntime &runtime,
                             FaultScript &faults)
    : routes_(host), engine_(engine), runtime_(runtime), faults_(faults) {
  addReports();
  addFaults();
  addClock();
  addInstances();
  addSurroundings();
}

std::string ControlRoutes::clockJson() const {
  EngineClock &clock = engine_.clock();
  JsonObject object;
  object.add("mode", clock.mode() == EngineClock::Mode::Real ? "real" : "virtual").add("nowMs", clock.nowMs());
  object.add("paused", clock.paused()).add("waiting", static_cast<std::uint64_t>(clock.sleepers()));
  object.add("hanging", static_cast<std::uint64_t>(clock.hanging()));
  return std::move(object).str();
}

std::string ControlRoutes::stateJson() const {
  JsonObject object;
  object.addRaw("clock", clockJson()).addRaw("engine", engine_.summary());
  object.add("listeners", static_cast<std::uint64_t>(engine_.listeners()));
  object.addRaw("calls", runtime_.countersJson()).addRaw("faults", faults_.json());
  return std::move(object).str();
}

void ControlRoutes::addReports() {
  routes_.add("GET", "/simulated/state", kRead, "What the simulated engine holds and was asked",
              [this](Exchange &exchange) { exchange.json(200, stateJson()); });
  routes_.add("GET", "/simulated/instances", kRead, "Every simulated container, also those of others",
              [this](Exchange &exchange) {
                exchange.begin(200, "application/json; charset=utf-8");
                std::string text = "[";
                bool first = true;
                engine_.list({}, [&](std::string_view item) {
                  if (!first) text += ',';
                  first = false;
                  text += item;
                  if (text.size() >= kWriteSize) {
                    exchange.write(text);
                    text.clear();
                  }
                  return true;
                });
                exchange.write(text + "]");
                exchange.end();
              });
  routes_.add("GET", "/simulated/instances/:name", kRead, "One simulated container",
              [this](Exchange &exchange) { exchange.json(200, engine_.inspect(exchange.param("name"))); });
}

void ControlRoutes::addFaults() {
  const auto change = [this](Exchange &exchange, bool keep) {
    auto rules = FaultRule::parseJson(exchange.body());
    if (keep)
      faults_.append(FaultScript::Source::Control, std::move(rules));
    else
      faults_.replace(FaultScript::Source::Control, std::move(rules));
    exchange.json(200, faults_.json());
  };
  routes_.add(
      "PUT", "/simulated/faults", kWrite, "Fault rules in place of those given here before",
      [change](Exchange &exchange) { change(exchange, false); }, kMaxBody);
  routes_.add(
      "POST", "/simulated/faults", kWrite, "More fault rules", [change](Exchange &exchange) { change(exchange, true); },
      kMaxBody);
  routes_.add("DELETE", "/simulated/faults", kWrite, "Forgets the fault rules given here", [this](Exchange &exchange) {
    faults_.replace(FaultScript::Source::Control, {});
    exchange.json(200, faults_.json());
  });
  routes_.add("POST", "/simulated/release", kWrite, "Lets calls go that hang for ever",
              [this](Exchange &exchange) { answerCount(exchange, "released", engine_.clock().release()); });
}

void ControlRoutes::addClock() {
  routes_.add("POST", "/simulated/clock", kWrite, "Moves, stops or restarts virtual time", [this](Exchange &exchange) {
    const json::Object::Ptr body = bodyOf(exchange);
    EngineClock &clock = engine_.clock();
    if (body->has("paused")) clock.setPaused(json::getBool(*body, "paused", false));
    if (body->has("advanceMs")) clock.advance(std::chrono::milliseconds(json::getInt(*body, "advanceMs", 0)));
    exchange.json(200, clockJson());
  });
}

void ControlRoutes::addInstances() {
  routes_.add(
      "POST", "/simulated/instances", kWrite, "Makes many containers of one spec, in which {n} is their number",
      [this](Exchange &exchange) {
        const json::Object::Ptr body = bodyOf(exchange);
        const std::int64_t count = json::getInt(*body, "count", 1);
        const json::Object::Ptr spec = json::findObject(*body, "spec");
        if (!spec || count < 1 || count > kMostMade) {
          throw Error(Status::InvalidArgument, "write {\"count\": 1 to 1000000, \"spec\": {…}, \"start\": false}",
                      "BAD_FIELD");
        }
        const bool start = json::getBool(*body, "start", false);
        const std::string text = json::dump(*spec);
        for (std::int64_t number = 1; number <= count; ++number) {
          const std::string ref = engine_.create(Spec::parse(numbered(text, number)), "");
          if (start) engine_.start(ref);
        }
        answerCount(exchange, "made", static_cast<std::size_t>(count));
      },
      kMaxBody);
  routes_.add("POST", "/simulated/instances/:name/:what", kWrite,
              "Lets a container die, oom, be healthy or unhealthy, or vanish", [this](Exchange &exchange) {
                const std::string name(exchange.param("name"));
                const std::string_view what = exchange.param("what");
                const json::Object::Ptr body = bodyOf(exchange);
                const auto again = json::getBool(*body, "restart", true) ? SimulatedEngine::Again::ByPolicy
                                                                         : SimulatedEngine::Again::Never;
                if (what == "die") {
                  engine_.die(name, static_cast<int>(json::getInt(*body, "exitCode", 1) & 255), false, again);
                } else if (what == "oom") {
                  engine_.die(name, 137, true, again);
                } else if (what == "healthy" || what == "unhealthy") {
                  engine_.setHealth(name, what == "healthy" ? Health::Healthy : Health::Unhealthy);
                } else if (what == "vanish") {
                  engine_.remove(name, MOS_REMOVE_FORCE);
                  return exchange.json(200, "{}");
                } else {
                  throw Error(Status::NotFound, "a container can die, oom, be healthy or unhealthy, or vanish");
                }
                exchange.json(200, engine_.inspect(name));
              });
}

void ControlRoutes::addSurroundings() {
  routes_.add("POST", "/simulated/images", kWrite, "Makes images present, removes them, publishes newer ones",
              [this](Exchange &exchange) {
                const json::Object::Ptr body = bodyOf(exchange);
                for (const std::string &image : textsOf(*body, "publish"))
                  engine_.publishImage(image);
                for (const std::string &image : textsOf(*body, "add"))
                  engine_.fetchImage(image);
                for (const std::string &image : textsOf(*body, "remove"))
                  engine_.removeImage(image);
                exchange.json(200, engine_.summary());
              });
  routes_.add("POST", "/simulated/ports", kWrite, "Host ports that somebody else holds", [this](Exchange &exchange) {
    const json::Object::Ptr body = bodyOf(exchange);
    std::set<std::uint16_t> ports;
    if (const json::Array::Ptr list = json::findArray(*body, "occupied")) {
      for (const json::Value &port : *list) {
        if (!port.isInteger() || port < 1 || port > 65535) {
          throw Error(Status::InvalidArgument, "\"occupied\" has to hold ports, 1 to 65535", "BAD_FIELD");
        }
        ports.insert(port.convert<std::uint16_t>());
      }
    }
    const std::size_t count = ports.size();
    engine_.occupyPorts(std::move(ports));
    answerCount(exchange, "occupied", count);
  });
  routes_.add("POST", "/simulated/interrupt", kWrite, "Ends all streams of events, as an engine does that restarts",
              [this](Exchange &exchange) { answerCount(exchange, "interrupted", engine_.interruptEvents()); });
}

} // namespace matrixos::simulated
