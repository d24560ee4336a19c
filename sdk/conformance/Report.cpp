/// Results as text and JSON, and which cases are run.
#include "CheckedRuntime.h"
#include "Conformance.h"

#include <fnmatch.h>

#include <algorithm>

namespace matrixos::conformance {

namespace {

/// In the order of the outcomes.
constexpr const char *kOutcomes[] = {"pass", "fail", "skip"};

std::string safe(const Json &json, int indent = -1) {
  return json.dump(indent, ' ', false, Json::error_handler_t::replace);
}

Json toObject(const CaseResult &result) {
  Json object{{"id", result.id},
              {"group", result.group},
              {"result", kOutcomes[static_cast<std::size_t>(result.outcome)]},
              {"reason", result.reason},
              {"ms", result.ms}};
  if (result.outcome == CaseOutcome::Fail) {
    object["expected"] = result.expected;
    object["got"] = result.got;
    object["rule"] = result.rule;
    object["calls"] = result.calls;
  }
  if (result.abandoned) object["abandoned"] = true;
  if (!result.diedWith.empty()) object["died"] = {{"with", result.diedWith}, {"in", result.diedIn}};
  return object;
}

int count(const std::vector<CaseResult> &results, CaseOutcome outcome) {
  return static_cast<int>(
      std::count_if(results.begin(), results.end(), [&](const CaseResult &r) { return r.outcome == outcome; }));
}

} // namespace

std::vector<Case> select(const std::vector<Case> &all, const std::string &pattern, bool coreOnly) {
  const auto matches = [&](const Case &one) {
    for (std::size_t from = 0; from <= pattern.size();) {
      std::size_t to = pattern.find(',', from);
      if (to == std::string::npos) to = pattern.size();
      const std::string part = pattern.substr(from, to - from);
      if (::fnmatch(part.c_str(), one.id.c_str(), 0) == 0 || part == one.group()) return true;
      from = to + 1;
    }
    return pattern.empty();
  };
  std::vector<Case> chosen;
  std::copy_if(all.begin(), all.end(), std::back_inserter(chosen),
               [&](const Case &one) { return (one.core || !coreOnly) && matches(one); });
  return chosen;
}

std::string summary(const std::vector<CaseResult> &results) {
  const auto deaths =
      std::count_if(results.begin(), results.end(), [](const CaseResult &r) { return !r.diedWith.empty(); });
  const std::string died = deaths == 0 ? ""
                                       : std::string("; the plugin ended its process ") +
                                             (deaths == 1 ? "once" : std::to_string(deaths) + " times");
  return std::to_string(count(results, CaseOutcome::Pass)) + " passed, " +
         std::to_string(count(results, CaseOutcome::Fail)) + " failed, " +
         std::to_string(count(results, CaseOutcome::Skip)) + " skipped" + died;
}

std::string toJson(const std::string &plugin, const std::string &version, const std::vector<CaseResult> &results) {
  Json all = Json::array();
  for (const CaseResult &result : results)
    all.push_back(toObject(result));
  return safe({{"plugin", plugin},
               {"version", version},
               {"abi", MOS_RUNTIME_1},
               {"cases", all},
               {"summary",
                {{"passed", count(results, CaseOutcome::Pass)},
                 {"failed", count(results, CaseOutcome::Fail)},
                 {"skipped", count(results, CaseOutcome::Skip)},
                 {"text", summary(results)}}}},
              2);
}

std::string encode(const CaseResult &result) {
  return safe(toObject(result));
}

CaseResult decode(const std::string &line) {
  const Json object = Json::parse(line);
  CaseResult result;
  result.id = object.value("id", "");
  result.group = object.value("group", "");
  const std::string word = object.value("result", "fail");
  result.outcome = word == "pass" ? CaseOutcome::Pass : word == "skip" ? CaseOutcome::Skip : CaseOutcome::Fail;
  result.reason = object.value("reason", "");
  result.expected = object.value("expected", "");
  result.got = object.value("got", "");
  result.rule = object.value("rule", "");
  result.calls = object.value("calls", std::vector<std::string>{});
  result.ms = object.value("ms", 0.0);
  result.abandoned = object.value("abandoned", false);
  return result;
}

std::string describe(const CaseResult &result, bool colour) {
  const auto paint = [&](const char *code, const std::string &text) {
    return colour ? std::string("\x1b[") + code + "m" + text + "\x1b[0m" : text;
  };
  std::string name = result.id;
  name.resize(std::max<std::size_t>(name.size(), 34), ' ');
  switch (result.outcome) {
  case CaseOutcome::Pass:
    return paint("32", "pass") + "  " + name + "  " + std::to_string(static_cast<long>(result.ms)) + " ms\n";
  case CaseOutcome::Skip:
    return paint("33", "skip") + "  " + name + "  " + result.reason + "\n";
  case CaseOutcome::Fail:
    break;
  }
  std::string text = paint("31;1", "FAIL") + "  " + name + "  " + result.reason + "\n";
  text += "        expected  " + result.expected + "\n        came      " + result.got + "\n        rule      " +
          result.rule + "\n";
  for (std::size_t i = 0; i < result.calls.size(); ++i)
    text += std::string(i == 0 ? "        calls     " : "                  ") + result.calls[i] + "\n";
  return text;
}

} // namespace matrixos::conformance
