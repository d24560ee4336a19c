/// list: complete, each once, whatever happens meanwhile.
#include "Cases.h"

#include <atomic>
#include <map>
#include <thread>

namespace matrixos::conformance {

namespace {

constexpr const char *kComplete = "runtime.h list(): complete, or a failure";

std::map<std::string, int> countNames(const std::vector<Json> &items) {
  std::map<std::string, int> counts;
  for (const Json &item : items)
    ++counts[textOf(item, "name")];
  return counts;
}

void expectEachOnce(CaseSession &t, const std::vector<std::string> &names, const std::vector<Json> &items) {
  const auto counts = countNames(items);
  for (const std::string &name : names) {
    const auto found = counts.find(name);
    const int times = found == counts.end() ? 0 : found->second;
    t.expect(times == 1, name + " once among " + std::to_string(names.size()) + " that are there",
             std::to_string(times) + " times among " + std::to_string(items.size()) + " items", kComplete);
  }
}

std::vector<std::string> makeMany(CaseSession &t, int count) {
  std::vector<std::string> names;
  for (int i = 0; i < count; ++i) {
    names.push_back(t.name());
    t.create(t.spec(names.back()));
  }
  return names;
}

void complete(CaseSession &t) {
  const std::vector<std::string> names = makeMany(t, t.options().instances);
  expectEachOnce(t, names, t.list(t.marked()));
  const std::size_t listed = t.list(t.marked()).size();
  t.expect(listed == names.size(), std::to_string(names.size()) + " items", std::to_string(listed));
}

void everything(CaseSession &t) {
  const std::vector<std::string> names = makeMany(t, 3);
  expectEachOnce(t, names, t.list("{}"));
}

/// Those that stay are there in every listing, while others come and go.
void whileOthersChange(CaseSession &t) {
  const std::vector<std::string> names = makeMany(t, 4);
  const auto stop = std::make_shared<std::atomic<bool>>(false);
  std::vector<Json> passing;
  for (int i = 0; i < 3; ++i)
    passing.push_back(t.spec(t.name("passing")));
  std::vector<std::shared_ptr<Pending>> churn;
  for (const Json &spec : passing) {
    const How creating = t.creating(spec);
    churn.push_back(t.async([spec, creating, stop](CheckedRuntime &runtime, const How &how) {
      Answer answer;
      while (answer.ok() && !stop->load() && !how.cancel->triggered()) {
        answer = runtime.create(spec.dump(), creating);
        if (answer.ok()) answer = runtime.remove(textOf(spec, "name"), MOS_REMOVE_FORCE, How{});
      }
      return answer;
    }));
  }
  std::vector<Answer> answers;
  for (int i = 0; i < 15; ++i)
    answers.push_back(t.rt().list(t.marked(), {}, t.how()));
  stop->store(true);
  for (const auto &pending : churn)
    t.ok(t.await(pending, t.options().callTimeout, "create() and remove() beside list()"),
         "create() and remove() beside list()");
  for (const Answer &answer : answers) {
    t.ok(answer, "list() while others come and go", kComplete);
    expectEachOnce(t, names, answer.items);
  }
}

void stopped(CaseSession &t) {
  makeMany(t, 3);
  const Answer answer = t.rt().list(
      t.marked(), [](const std::string &) { return false; }, t.how());
  t.ok(answer, "list() whose sink answered stop", "base.h mos_sink: after MOS_SINK_STOP the producer returns MOS_OK");
  t.expect(answer.items.size() == 1 && !answer.itemAfterStop, "nothing after the sink answered stop",
           answer.itemAfterStop ? "another item" : std::to_string(answer.items.size()) + " items",
           "base.h mos_sink: after MOS_SINK_STOP the producer sends nothing more");
}

void sameAsInspect(CaseSession &t) {
  const Json spec = t.spec(t.name());
  const std::string ref = t.running(spec);
  const std::vector<Json> items = t.list(t.marked());
  t.expect(items.size() == 1, "one item", std::to_string(items.size()), kComplete);
  const Json inspected = t.inspect(ref);
  for (const char *key : {"ref", "name", "state", "labels", "createdAt", "startedAt", "image"}) {
    t.expect(items[0].value(key, Json()) == inspected.value(key, Json()),
             std::string("\"") + key + "\" as in inspect(): " + inspected.value(key, Json()).dump(),
             items[0].value(key, Json()).dump());
  }
}

void removedIsGone(CaseSession &t) {
  const std::vector<std::string> names = makeMany(t, 3);
  t.remove(names[1]);
  const auto counts = countNames(t.list(t.marked()));
  t.expect(counts.count(names[1]) == 0, "no item of what was removed", "one", "runtime.h list(), remove()");
  t.expect(counts.size() == 2, "the other two", std::to_string(counts.size()), kComplete);
}

} // namespace

void addList(CaseList &list) {
  list.push_back({"list.complete", "many instances are listed, each once", kComplete, kCore, complete});
  list.push_back({"list.everything", "no labels: everything of the engine",
                  "runtime.h list(): {} for all of the engine", kCore, everything});
  list.push_back(
      {"list.under-change", "what stays is listed while others come and go", kComplete, kCore, whileOthersChange});
  list.push_back({"list.stop", "a sink that answers stop ends the listing", "base.h mos_sink", kCore, stopped});
  list.push_back({"list.as-inspect", "an item says what inspect() says",
                  "runtime.h: description, the answer of inspect() and the items of list()", kCore, sameAsInspect});
  list.push_back(
      {"list.removed", "what was removed is not listed", "runtime.h list(), remove()", kCore, removedIsGone});
}

} // namespace matrixos::conformance
