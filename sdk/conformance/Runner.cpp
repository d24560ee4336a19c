/// Runs cases one after the other.
#include "CaseSession.h"
#include "cases/Cases.h"

#include <matrixos/ulid.hpp>

#include <algorithm>

namespace matrixos::conformance {

namespace {

void fill(CaseResult &result, const Violation &failure, const Case &one, const CheckedRuntime &checked) {
  result.outcome = CaseOutcome::Fail;
  result.expected = failure.expected;
  result.got = failure.got;
  result.rule = failure.rule.empty() ? one.rule : failure.rule;
  result.reason = "not so: " + one.title;
  result.calls = checked.calls();
}

CaseResult runCase(const Case &one, const std::shared_ptr<CheckedRuntime> &checked, const Options &options) {
  CaseResult result;
  result.id = one.id;
  result.group = one.group();
  const auto began = std::chrono::steady_clock::now();
  {
    CaseSession session(checked, options, one);
    try {
      one.run(session);
    } catch (const Violation &failure) {
      fill(result, failure, one, *checked);
    } catch (const Skipped &skipped) {
      result.outcome = CaseOutcome::Skip;
      result.reason = skipped.reason;
    } catch (const std::exception &e) {
      fill(result, Violation{"documents of the shape that runtime.h describes", e.what(), {}}, one, *checked);
    }
    session.close();
    result.abandoned = session.abandoned();
  }
  result.ms = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - began).count();
  return result;
}

/// Makes the image present, as the orchestrator would, and finds out what specs have to say. Fails silently: the cases
/// see for themselves.
void prepare(const mos_runtime_v1 *runtime, Options &options) {
  if (runtime->capabilities == nullptr) return;
  CheckedRuntime checked(runtime, options.viaHost);
  const Answer answer = checked.capabilities();
  if (answer.ok() && answer.json.is_object() && answer.json.value("publishesPorts", false))
    options.hostPorts = options.hostPorts || textOf(answer.json, "isolation") == "process";
  checked.pull(Json{{"image", options.image}, {"policy", "missing"}}.dump(), {});
}

std::string freshRunId() {
  std::string id = makeUlid().substr(16);
  std::transform(id.begin(), id.end(), id.begin(), [](char c) { return c >= 'A' ? static_cast<char>(c + 32) : c; });
  return id;
}

} // namespace

const std::vector<Case> &cases() {
  static const std::vector<Case> all = [] {
    std::vector<Case> list;
    for (const auto &add :
         {addLifecycle, addIdempotency, addConcurrency, addList, addLabels, addCancellation, addEvents, addPull,
          addLimits, addEndpoints, addVolumes, addExtras, addHostileInput, addErrors})
      add(list);
    return list;
  }();
  return all;
}

std::vector<CaseResult> run(const mos_runtime_v1 *runtime, Options options, const std::vector<Case> &selected,
                            const CaseObserver &progress) {
  if (options.runId.empty()) options.runId = freshRunId();
  const auto checked = std::make_shared<CheckedRuntime>(runtime, options.viaHost);
  prepare(runtime, options);
  std::vector<CaseResult> results;
  for (const Case &one : selected) {
    if (progress.begins) progress.begins(one);
    results.push_back(runCase(one, checked, options));
    if (progress.ends) progress.ends(results.back());
  }
  return results;
}

} // namespace matrixos::conformance
