/// Runs cases one after the other.
#include "Session.h"
#include "cases/Cases.h"

#include <matrixos/ulid.hpp>

#include <algorithm>

namespace matrixos::conformance {

namespace {

void fill(Result &result, const Failure &failure, const Case &one, const Client &client) {
  result.outcome = Outcome::Fail;
  result.expected = failure.expected;
  result.got = failure.got;
  result.rule = failure.rule.empty() ? one.rule : failure.rule;
  result.reason = "not so: " + one.title;
  result.calls = client.calls();
}

Result runCase(const Case &one, const std::shared_ptr<Client> &client, const Options &options) {
  Result result;
  result.id = one.id;
  result.group = one.group();
  const auto began = std::chrono::steady_clock::now();
  {
    Session session(client, options, one);
    try {
      one.run(session);
    } catch (const Failure &failure) {
      fill(result, failure, one, *client);
    } catch (const Skipped &skipped) {
      result.outcome = Outcome::Skip;
      result.reason = skipped.reason;
    } catch (const std::exception &e) {
      fill(result, Failure{"documents of the shape that runtime.h describes", e.what(), {}}, one, *client);
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
  Client client(runtime, options.viaHost);
  const Answer answer = client.capabilities();
  if (answer.ok() && answer.json.is_object() && answer.json.value("publishesPorts", false))
    options.hostPorts = options.hostPorts || textOf(answer.json, "isolation") == "process";
  client.pull(Json{{"image", options.image}, {"policy", "missing"}}.dump(), {});
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

std::vector<Result> run(const mos_runtime_v1 *runtime, Options options, const std::vector<Case> &selected,
                        const Progress &progress) {
  if (options.runId.empty()) options.runId = freshRunId();
  const auto client = std::make_shared<Client>(runtime, options.viaHost);
  prepare(runtime, options);
  std::vector<Result> results;
  for (const Case &one : selected) {
    if (progress.begins) progress.begins(one);
    results.push_back(runCase(one, client, options));
    if (progress.ends) progress.ends(results.back());
  }
  return results;
}

} // namespace matrixos::conformance
