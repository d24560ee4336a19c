#pragma once

#include "CheckedRuntime.h"
#include "Conformance.h"

#include <condition_variable>
#include <memory>
#include <string>
#include <vector>

namespace matrixos::conformance {

/// Thrown by a case that found the contract broken.
struct Violation {
  std::string expected;
  std::string got;
  std::string rule; ///< empty: the case's own
};

/// Thrown by a case that does not apply.
struct Skipped {
  std::string reason;
};

/// A call that runs on a thread of its own.
class Pending {
public:
  /// Whether it has returned within `limit`.
  bool wait(std::chrono::milliseconds limit);
  const Answer &answer() const { return answer_; }
  const std::shared_ptr<Cancel> &cancel() const { return cancel_; }

private:
  friend class CaseSession;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool done_ = false;
  Answer answer_;
  std::shared_ptr<Cancel> cancel_ = std::make_shared<Cancel>();
};

/// What one case works with. Everything it makes has a name of this run and is removed with the session.
class CaseSession {
public:
  CaseSession(std::shared_ptr<CheckedRuntime> runtime, const Options &options, const Case &theCase);
  ~CaseSession();
  CaseSession(const CaseSession &) = delete;
  CaseSession &operator=(const CaseSession &) = delete;

  CheckedRuntime &rt() { return *runtime_; }
  const Options &options() const { return options_; }

  /// Ends the case. Without a rule, the case's own is cited.
  [[noreturn]] void fail(const std::string &expected, const std::string &got, const std::string &rule = {}) const;
  [[noreturn]] void skip(const std::string &reason) const;
  void expect(bool holds, const std::string &expected, const std::string &got, const std::string &rule = {}) const;
  /// The answer has to be OK; gives it back.
  const Answer &ok(const Answer &answer, const std::string &what, const std::string &rule = {}) const;
  /// The answer has to be one of these failures.
  const Answer &refused(const Answer &answer, const std::vector<mos_status> &statuses, const std::string &what,
                        const std::string &rule = {}) const;

  /// The capabilities; the case fails when there are none.
  const Json &capabilities();
  /// Whether a capability is true; `otherwise` when it is not told.
  bool can(const std::string &capability, bool otherwise = false);
  /// Skips the case unless the capability is told to be true.
  void need(const std::string &capability);
  /// Skips the case when the answer says UNIMPLEMENTED; a failure when `promised` names a true capability.
  void unlessUnimplemented(const Answer &answer, const std::string &function, const std::string &promised = {});

  /// A new name; whatever has it is removed at the end.
  std::string name(const std::string &hint = "i");
  /// Another one is not removed at the end, as for things that never are instances.
  std::string word(const std::string &hint) const;
  /// A label that only this case's instances carry.
  std::pair<std::string, std::string> mark() const { return {"matrixos.conformance-case", mark_}; }
  /// {"label": mark} as list() wants it.
  std::string marked() const { return Json{{mark().first, mark().second}}.dump(); }
  /// A whole spec with labels, limits and a port. `variant` goes into the spec's hash and its environment.
  Json spec(const std::string &name, const std::string &variant = "a") const;
  /// How to create it: under the operation id in its label.
  How creating(const Json &spec) const;

  /// create(), start(), inspect() that have to succeed.
  std::string create(const Json &spec);
  std::string running(const Json &spec);
  void start(const std::string &ref);
  void stop(const std::string &ref);
  void remove(const std::string &ref, std::uint32_t flags = MOS_REMOVE_FORCE);
  Json inspect(const std::string &ref);
  std::string stateOf(const std::string &ref);
  void expectState(const std::string &ref, const std::vector<std::string> &states, const std::string &after);
  /// Descriptions of those with these labels; has to succeed.
  std::vector<Json> list(const std::string &labels);
  /// inspect() has to say NOT_FOUND.
  void expectGone(const std::string &ref, const std::string &after);

  How how(std::string operationId = {}) const;
  /// A new operation id.
  std::string operation() const;

  /// Runs a call on a thread of its own, under a context that pending->cancel() ends.
  std::shared_ptr<Pending> async(std::function<Answer(CheckedRuntime &, How)> call);
  /// Waits; the case fails, and its thread is given up, when the call is not back within `limit`.
  const Answer &await(const std::shared_ptr<Pending> &pending, std::chrono::milliseconds limit,
                      const std::string &what);
  /// `count` calls at the same time; all answers.
  std::vector<Answer> parallel(int count, const std::function<Answer(CheckedRuntime &, int)> &call);

  /// Ends what still runs and removes what was made; also done at destruction.
  void close();
  /// After close(): a call did not come back.
  bool abandoned() const { return abandoned_; }

private:
  void cleanUp();

  std::shared_ptr<CheckedRuntime> runtime_;
  const Options &options_;
  const Case &case_;
  std::string mark_;
  Json capabilities_;
  std::vector<std::string> names_;
  std::vector<std::shared_ptr<Pending>> pending_;
  bool closed_ = false;
  bool abandoned_ = false;
};

/// A subscription to events that is known to be listening.
class EventSubscription {
public:
  /// Subscribes and waits until an event of an instance made for the purpose has arrived. Skips the case when the
  /// runtime has no events.
  EventSubscription(CaseSession &session, const std::string &labels);

  /// Waits until an event of `type` about `name` has come.
  bool waitFor(const std::string &name, const std::string &type, std::chrono::milliseconds limit) const;
  /// Types of the events about `name`, in the order of their arrival.
  std::vector<std::string> typesOf(const std::string &name) const;
  std::vector<Json> all() const;
  /// Ends it by cancellation; gives the answer. The case fails when it does not come.
  const Answer &end();
  const std::shared_ptr<Pending> &pending() const { return pending_; }

private:
  struct Log {
    std::mutex mutex;
    std::condition_variable changed;
    std::vector<Json> items;
  };

  CaseSession &session_;
  std::shared_ptr<Log> log_ = std::make_shared<Log>();
  std::shared_ptr<Pending> pending_;
};

/// "a, b, c".
std::string joined(const std::vector<std::string> &words);
/// A member of an object as text, "" when it is no string.
std::string textOf(const Json &object, const char *key);

} // namespace matrixos::conformance
