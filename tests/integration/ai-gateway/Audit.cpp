#include "Audit.h"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>
#include <support/Text.h>
#include <support/Wait.h>

#include <sstream>
#include <vector>

namespace matrixos::test {

using nlohmann::json;

namespace {

/// Of claude-haiku-5-5, see etc/prices.json.
constexpr std::int64_t kInputPico = 100'000, kOutputPico = 500'000;

/// What is under way ends by itself, but on a busy machine not soon.
constexpr std::chrono::minutes kBusy{2};

std::vector<std::string> cellsOf(const std::string &line) {
  std::vector<std::string> cells;
  std::istringstream in(line);
  for (std::string cell; std::getline(in, cell, ',');) {
    const bool quoted = cell.size() > 1 && cell.front() == '"';
    cells.push_back(quoted ? cell.substr(1, cell.size() - 2) : cell);
  }
  return cells;
}

} // namespace

std::string LabelledCall::body() const {
  return R"({"model":")" + model + R"(","max_tokens":6000,"stream":)" + (stream ? "true " : "false") +
         R"(,"system":")" + std::string(1000, 'p') + R"(","messages":[{"role":"user","content":"scenario: )" + words +
         (label.empty() ? "" : " id=" + label) + R"("}]})";
}

std::string LabelledCall::request() const {
  const std::string sent = body();
  return "POST /v1/messages HTTP/1.1\r\nHost: gateway\r\nx-api-key: " + GatewayPlatform::tokenOf(handle) +
         "\r\nanthropic-version: 2023-06-01\r\nContent-Type: application/json\r\nx-matrix-session: " + label +
         "\r\nContent-Length: " + std::to_string(sent.size()) + "\r\n\r\n" + sent;
}

std::int64_t LabelledCall::mostPico() const {
  constexpr std::int64_t kWritePico = 125'000;
  return (static_cast<std::int64_t>(body().size()) / 3 + 1) * kWritePico + 6000 * kOutputPico;
}

std::int64_t spentBy(const GatewayPlatform &platform, const std::string &handle) {
  const Response usage = platform.admin("/usage/" + handle);
  REQUIRE_MESSAGE(usage.status == 200, usage.body);
  return picoOf(usage.body, "dailyUsd");
}

bool holdsNothing(const GatewayPlatform &platform) {
  const std::string summary = platform.admin("/usage/summary").body;
  return picoOf(summary.substr(summary.find("\"total\"")), "heldUsd") == 0;
}

Audit::Audit(const GatewayPlatform &platform) {
  CHECK(eventually([&] { return json::parse(platform.upstream.counters())["open"] == 0; }, kBusy));
  CHECK(eventually([&] { return holdsNothing(platform); }, kBusy));
  readRows(platform.admin("/usage/summary?format=csv").body);
  readLog(platform.upstream);
  compareTotals(platform);
}

void Audit::readRows(const std::string &csv) {
  std::istringstream in(csv);
  std::string line;
  std::getline(in, line);
  REQUIRE(line == "at,userId,instanceId,model,session,inputTokens,outputTokens,cacheReadTokens,cacheWrite5mTokens,"
                  "cacheWrite1hTokens,webSearches,costUsd,partial\r");
  while (std::getline(in, line)) {
    const std::vector<std::string> cells = cellsOf(line);
    REQUIRE_MESSAGE(cells.size() == 13, line);
    const bool isNew = booked_
                           .emplace(cells[4], Booked{cells[1], std::stoll(cells[5]), std::stoll(cells[6]),
                                                     picoOf(cells[11]), cells[12].substr(0, 4) == "true"})
                           .second;
    CHECK_MESSAGE(isNew, line);
  }
}

void Audit::readLog(const LlmUpstream &upstream) {
  for (const std::string &line : upstream.calls()) {
    const json call = json::parse(line);
    const std::string scenario = call["scenario"];
    const std::size_t at = scenario.rfind("id=");
    if (call["usage"].is_null() || at == std::string::npos) continue;
    const auto input = call["usage"]["input_tokens"].get<std::int64_t>();
    const auto output = call["usage"]["output_tokens"].get<std::int64_t>();
    const bool isNew = owed_
                           .emplace(scenario.substr(at + 3), Owed{call["status"], call["whole"], input, output,
                                                                  input * kInputPico + output * kOutputPico, scenario})
                           .second;
    CHECK_MESSAGE(isNew, line);
  }
}

void Audit::compareTotals(const GatewayPlatform &platform) const {
  std::map<std::string, std::int64_t> sums;
  std::int64_t all = 0;
  for (const auto &[label, row] : booked_) {
    sums[row.handle] += row.pico;
    all += row.pico;
  }
  const std::string summary = platform.admin("/usage/summary").body;
  CHECK(picoOf(summary.substr(summary.find("\"total\"")), "monthlyUsd") == all);
  for (const auto &[handle, sum] : sums)
    CHECK(picoOf(platform.admin("/usage/" + handle).body, "monthlyUsd") == sum);
}

const Audit::Booked *Audit::booked(const std::string &label) const {
  const auto found = booked_.find(label);
  return found == booked_.end() ? nullptr : &found->second;
}

const Audit::Owed *Audit::owed(const std::string &label) const {
  const auto found = owed_.find(label);
  return found == owed_.end() ? nullptr : &found->second;
}

bool Audit::isExact(const std::string &label) const {
  const Booked *row = booked(label);
  const Owed *bill = owed(label);
  return row != nullptr && bill != nullptr && !row->partial && row->pico == bill->pico && row->input == bill->input &&
         row->output == bill->output;
}

void Audit::checkBounded(const std::vector<LabelledCall> &calls) const {
  for (const LabelledCall &call : calls) {
    CAPTURE(call.words);
    CAPTURE(call.stream);
    const Booked *row = booked(call.label);
    REQUIRE(row != nullptr);
    CHECK(row->pico > 0);
    CHECK(row->pico <= call.mostPico());
  }
}

std::string Audit::tell(const std::string &label) const {
  std::string text = label + ":";
  const auto add = [&text](const char *what, const auto *one) {
    if (one == nullptr) return;
    text += std::string(" ") + what + " " + std::to_string(one->input) + " + " + std::to_string(one->output) +
            " tokens, " + std::to_string(one->pico) + " pico-dollars;";
  };
  const Booked *row = booked(label);
  const Owed *bill = owed(label);
  add(row != nullptr && row->partial ? "booked in part" : "booked", row);
  add(bill != nullptr && bill->whole ? "owed whole" : "owed", bill);
  return bill == nullptr ? text : text + " " + bill->scenario;
}

} // namespace matrixos::test
