#include "Provisioner.h"

#include <matrixos/handle.hpp>
#include <matrixos/json_text.hpp>

#include <algorithm>
#include <iterator>
#include <utility>

namespace matrixos::signup {

namespace {

/// At the orchestrator at a time; it has a queue and limits of its own.
constexpr std::size_t kMostInFlight = 32;
/// Longer than an image's first pull may take.
constexpr std::chrono::minutes kProvisionTime{30};
constexpr std::chrono::minutes kDestroyTime{5};
/// How long a full platform is not asked again.
constexpr std::int64_t kFullMs = 5000;
constexpr int kMostCandidates = 1000;

std::chrono::milliseconds pauseAfter(int attempts, const Settings &settings) {
  auto pause = settings.retryBase;
  for (int i = 1; i < attempts && pause < settings.retryMax; ++i)
    pause *= 2;
  return std::min(pause, settings.retryMax);
}

/// Another handle may do.
bool isAboutHandle(const Error &error) {
  return error.status() == Status::AlreadyExists || error.reason() == "RESERVED_HANDLE" ||
         error.reason() == "BAD_HANDLE";
}

} // namespace

Provisioner::Provisioner(const mos_host_v1 *host, Orchestrators orchestrators, Clock clock, Audit audit)
    : store_(Sql(host)), executor_(host), log_(host), events_(host), platform_(host),
      orchestrators_(std::move(orchestrators)), clock_(std::move(clock)), audit_(std::move(audit)),
      provisioned_(Metrics(host).counter("matrixos_signup_provisions_total", "Instances for who signed up, by result.",
                                         {{"result", "ok"}})),
      failed_(Metrics(host).counter("matrixos_signup_provisions_total", "Instances for who signed up, by result.",
                                    {{"result", "failed"}})),
      destroyed_(Metrics(host).counter("matrixos_signup_deletions_total", "Deleted users whose instance is gone.")) {
  for (std::size_t i = 0; i < kStates; ++i)
    users_.push_back(
        Metrics(host).gauge("matrixos_signup_users", "Sign-ups by state.", {{"state", wordOf(static_cast<State>(i))}}));
}

void Provisioner::configure(Settings settings) {
  const std::lock_guard lock(mutex_);
  settings_ = std::move(settings);
}

Settings Provisioner::settings() const {
  const std::lock_guard lock(mutex_);
  return settings_;
}

void Provisioner::begin() {
  store_.migrate();
  store_.resume(now());
}

void Provisioner::kick() {
  isDirty_ = true;
  const std::lock_guard lock(mutex_);
  if (isScheduled_ || isEnded_) return;
  try {
    executor_.submit([self = shared_from_this()] {
      {
        const std::lock_guard inner(self->mutex_);
        self->isScheduled_ = false;
      }
      self->pass();
    });
    isScheduled_ = true;
  } catch (const Error &) {
    // The queue is full, or the plugin is stopping; the timer comes by, or the next start does.
  }
}

void Provisioner::end() {
  const std::lock_guard lock(mutex_);
  isEnded_ = true;
}

std::function<void(const Outcome &)> Provisioner::reporter(Signup signup, Work work) {
  return [weak = weak_from_this(), signup = std::move(signup), work](const Outcome &outcome) {
    const auto self = weak.lock();
    if (!self) return;
    Report report{signup, work, std::nullopt, std::string(outcome.json)};
    if (outcome.error != nullptr) report.error = *outcome.error;
    {
      const std::lock_guard lock(self->mutex_);
      if (self->isEnded_) return;
      self->reports_.push_back(std::move(report));
    }
    self->kick();
  };
}

std::vector<Provisioner::Report> Provisioner::takeReports() {
  const std::lock_guard lock(mutex_);
  return std::exchange(reports_, {});
}

void Provisioner::pass() {
  const std::lock_guard lock(passMutex_);
  std::vector<Report> reports = takeReports();
  std::size_t finished = 0;
  try {
    if (!reports.empty() || !deletionsDue().empty() || !provisionsDue(1).empty()) {
      const auto table = orchestrators_();
      const OrchestratorClient orchestrator(table.get());
      const Instances instances(orchestrator);
      for (; finished < reports.size(); ++finished) {
        inFlight_.erase(reports[finished].signup.person.userId);
        finish(reports[finished], instances);
      }
      destroyDue(orchestrator, instances);
      provisionDue(orchestrator, instances);
      isDirty_ = true;
    }
    countStates();
    tellDegraded("");
  } catch (const Error &error) {
    // What was reported is said again: until it is written down the rows say that it is under way.
    keepReports({reports.begin() + static_cast<std::ptrdiff_t>(finished), reports.end()});
    tellDegraded(error.what());
  }
}

void Provisioner::tellDegraded(const std::string &why) {
  if (degraded_ == why) return;
  if (!why.empty()) log_.warning("sign-ups wait", {{"error", why}});
  platform_.setDegraded(why.empty() ? why : "sign-ups wait: " + why);
  degraded_ = why;
}

void Provisioner::keepReports(std::vector<Report> reports) {
  const std::lock_guard lock(mutex_);
  reports_.insert(reports_.begin(), std::make_move_iterator(reports.begin()), std::make_move_iterator(reports.end()));
}

/// But those that the orchestrator works on, which stay due until it reports; none while it has enough to do.
std::vector<Signup> Provisioner::deletionsDue() const {
  if (inFlight_.size() >= 2 * kMostInFlight) return {};
  std::vector<Signup> due = store_.dueDeletions(now(), static_cast<std::int64_t>(inFlight_.size() + kMostInFlight));
  std::erase_if(due, [this](const Signup &signup) { return inFlight_.count(signup.person.userId) != 0; });
  return due;
}

/// None while the orchestrator has enough to do: the next report begins the next pass.
std::vector<Signup> Provisioner::provisionsDue(std::int64_t limit) const {
  if (inFlight_.size() >= kMostInFlight) return {};
  // Whoever waits for room is due all the time; looking again at once does not make any.
  if (fullUntil_ > now() && fullUntil_ <= now() + kFullMs) return {};
  return store_.dueProvisions(now(), now() + settings().retryMax.count(), limit);
}

void Provisioner::countStates() {
  if (!isDirty_.exchange(false)) return;
  const std::vector<std::int64_t> counts = store_.counts();
  for (std::size_t i = 0; i < kStates; ++i)
    users_[i].set(static_cast<double>(counts[i]));
}

void Provisioner::finish(const Report &report, const Instances &instances) {
  if (report.work == Work::Provision)
    finishProvision(report, instances);
  else
    finishDestroy(report);
}

void Provisioner::finishProvision(const Report &report, const Instances &instances) {
  Signup signup = report.signup;
  if (!report.error) return settle(std::move(signup), State::Provisioning, report.signup.handle);
  const Error &error = *report.error;
  // They have one already, which an operator or Inngest asked for.
  const Instances::Entry *own = instances.of(signup.person.userId);
  if (own != nullptr && own->isThere()) return settle(std::move(signup), State::Provisioning, own->handle);
  if (isAboutHandle(error) && error.reason() != "USER_TAKEN" && signup.candidate < kMostCandidates) {
    signup.handle.clear();
    ++signup.candidate;
    signup.state = State::Waiting;
    signup.lastError = error.what();
    signup.nextTryAt = now();
    store_.update(signup, State::Provisioning);
    return;
  }
  fail(std::move(signup), State::Provisioning, State::Failed, error);
}

void Provisioner::finishDestroy(const Report &report) {
  if (!report.error || report.error->status() == Status::NotFound) return buried(report.signup);
  fail(report.signup, State::Deleting, State::Deleting, *report.error);
}

/// The user has that instance.
void Provisioner::settle(Signup signup, State from, const std::string &handle) {
  // The row has the handle from before the orchestrator was asked for it, and over a restart; who came by another
  // way has another, and where it failed somebody else has made up for it.
  const bool isOurs = signup.handle == handle && from != State::Failed;
  signup.handle = handle;
  signup.state = State::Done;
  if (from == State::Provisioning) ++signup.attempts;
  signup.lastError.clear();
  signup.nextTryAt = 0;
  if (!store_.update(signup, from)) return; // deleted meanwhile; what was made goes when its time has come
  provisioned_.add();
  if (signup.handle != signup.wantedHandle)
    log_.info("a user got another handle than they wanted",
              {{"userId", signup.person.userId}, {"wantedHandle", signup.wantedHandle}, {"handle", signup.handle}});
  if (isOurs) note("instance provisioned", "user:" + signup.person.userId, signup.handle, signup.person.userId);
  announce("signup.provisioned", signup);
}

void Provisioner::fail(Signup signup, State from, State to, const Error &error) {
  ++signup.attempts;
  signup.state = to;
  signup.lastError = error.what();
  const std::int64_t pause = pauseAfter(signup.attempts, settings()).count();
  signup.nextTryAt = now() + std::max<std::int64_t>(pause, static_cast<std::int64_t>(error.retryAfterMs()));
  if (!store_.update(signup, from)) return;
  log_.warning("what a sign-up asks for has failed", {{"id", signup.id},
                                                      {"userId", signup.person.userId},
                                                      {"state", wordOf(to)},
                                                      {"attempts", signup.attempts},
                                                      {"error", error.what()}});
  if (to == State::Deleting) return; // the user still has an instance
  failed_.add();
  announce("signup.failed", signup);
}

void Provisioner::buried(Signup signup) {
  signup.state = State::Deleted;
  signup.lastError.clear();
  signup.nextTryAt = 0;
  if (!store_.update(signup, State::Deleting)) return;
  destroyed_.add();
  note("user removed", kDeleter, signup.handle, signup.person.userId);
  announce("signup.deleted", signup);
}

bool Provisioner::hasRoom(const Instances &instances, const Settings &settings) const {
  if (settings.maxInstances == 0) return true;
  std::size_t count = instances.size();
  for (const auto &[user, handle] : inFlight_)
    if (!instances.has(handle)) ++count;
  return count < static_cast<std::size_t>(settings.maxInstances);
}

void Provisioner::provisionDue(const OrchestratorClient &orchestrator, const Instances &instances) {
  const Settings settings = this->settings();
  for (Signup &signup : provisionsDue(kMostInFlight)) {
    if (inFlight_.size() >= kMostInFlight) return;
    const bool hasOne = instances.of(signup.person.userId) != nullptr;
    if (!hasOne && !hasRoom(instances, settings)) {
      fullUntil_ = now() + kFullMs;
      return store_.tellWaiting("there are " + std::to_string(settings.maxInstances) +
                                " instances, as many as [signup] max_instances allows");
    }
    provision(orchestrator, instances, std::move(signup));
  }
}

void Provisioner::provision(const OrchestratorClient &orchestrator, const Instances &instances, Signup signup) {
  if (inFlight_.count(signup.person.userId) != 0) return;
  const State from = signup.state;
  try {
    if (const Instances::Entry *own = instances.of(signup.person.userId); own != nullptr && !own->isLeaving()) {
      if (own->isThere()) return settle(std::move(signup), from, own->handle);
      signup.handle = own->handle; // begun, and not ended: the same pair goes on with it
    }
    if (!takeHandle(instances, signup)) return;
  } catch (const Error &error) {
    return fail(std::move(signup), from, State::Failed, error);
  }
  inFlight_[signup.person.userId] = signup.handle;
  const CallScope call(kProvisionTime, signup.id + "-" + std::to_string(signup.attempts), signup.id);
  orchestrator.provision(call.abi(), signup.handle, signup.person.userId, reporter(signup, Work::Provision));
}

/// Finds a handle that nobody has and marks the sign-up as under way with it. False when it was deleted meanwhile.
bool Provisioner::takeHandle(const Instances &instances, Signup &signup) {
  const std::string &userId = signup.person.userId;
  if (signup.handle.empty()) signup.handle = candidate(signup.wantedHandle, userId, signup.candidate);
  for (; signup.candidate < kMostCandidates;
       signup.handle = candidate(signup.wantedHandle, userId, ++signup.candidate)) {
    if (isReservedHandle(signup.handle) || instances.isTaken(signup.handle, userId)) continue;
    try {
      return store_.begin(signup);
    } catch (const Error &error) {
      if (error.status() != Status::AlreadyExists) throw; // another sign-up has it
    }
  }
  throw Error(Status::ResourceExhausted, "no handle is free that begins like \"" + signup.wantedHandle + "\"",
              "NO_HANDLE");
}

void Provisioner::destroyDue(const OrchestratorClient &orchestrator, const Instances &instances) {
  for (const Signup &signup : deletionsDue()) {
    if (inFlight_.size() >= 2 * kMostInFlight) return;
    destroy(orchestrator, instances, signup);
  }
}

void Provisioner::destroy(const OrchestratorClient &orchestrator, const Instances &instances, const Signup &signup) {
  const Instances::Entry *own = instances.of(signup.person.userId);
  if (own == nullptr) return buried(signup);
  inFlight_[signup.person.userId] = own->handle;
  const CallScope call(kDestroyTime, signup.id + "-destroy-" + std::to_string(signup.attempts), signup.id);
  orchestrator.destroy(call.abi(), own->handle, reporter(signup, Work::Destroy));
}

void Provisioner::reconcile() {
  const std::lock_guard lock(passMutex_);
  const auto table = orchestrators_();
  const Instances instances{OrchestratorClient(table.get())};
  std::vector<std::pair<Signup, State>> changes;
  store_.each(State::Done, [&](Signup signup) {
    const Instances::Entry *own = instances.of(signup.person.userId);
    if (own != nullptr && own->handle == signup.handle) return;
    if (own != nullptr) {
      signup.handle = own->handle;
    } else {
      signup.state = State::Failed;
      signup.lastError = "the instance \"" + signup.handle + "\" is gone; \"matrixosctl signups retry\" makes another";
    }
    changes.emplace_back(std::move(signup), State::Done);
  });
  store_.each(State::Failed, [&](Signup signup) {
    const Instances::Entry *own = instances.of(signup.person.userId);
    if (signup.nextTryAt != 0 || own == nullptr || !own->isThere()) return;
    signup.handle = own->handle;
    signup.state = State::Done;
    signup.lastError.clear();
    changes.emplace_back(std::move(signup), State::Failed);
  });
  store_.each(State::Provisioning, [&](Signup signup) {
    if (inFlight_.count(signup.person.userId) != 0) return;
    signup.state = State::Waiting; // nobody is going to report
    signup.nextTryAt = now();
    changes.emplace_back(std::move(signup), State::Provisioning);
  });
  store_.each(State::Deleted, [&](Signup signup) {
    if (instances.of(signup.person.userId) == nullptr) return;
    signup.handle.clear(); // somebody else may have it by now
    signup.state = State::Deleting;
    signup.nextTryAt = now();
    changes.emplace_back(std::move(signup), State::Deleted);
  });
  for (const auto &[signup, from] : changes) {
    if (!store_.update(signup, from)) continue;
    log_.warning("the instances are not what the sign-ups say", {{"id", signup.id},
                                                                 {"userId", signup.person.userId},
                                                                 {"was", wordOf(from)},
                                                                 {"is", wordOf(signup.state)},
                                                                 {"handle", signup.handle}});
    if (signup.state == State::Failed) announce("signup.failed", signup);
  }
  isDirty_ = true;
}

Signup Provisioner::retry(std::string_view id) {
  const auto unknown = [&] {
    return Error(Status::NotFound, "there is no sign-up \"" + std::string(id) + "\"", "NO_SIGNUP");
  };
  const std::optional<Signup> found = store_.find(id);
  if (!found) throw unknown();
  Signup signup = *found;
  const State from = signup.state;
  const bool isInGrace = from == State::Deleting && signup.attempts == 0 && signup.nextTryAt > now();
  if (from == State::Done || from == State::Deleted || from == State::Provisioning || isInGrace)
    throw Error(Status::Aborted,
                isInGrace ? "the user was deleted, and the instance is kept until the time of grace is over"
                          : "there is nothing to try: the sign-up is " + std::string(wordOf(from)),
                "NOTHING_TO_TRY");
  if (from == State::Failed) signup.state = State::Waiting;
  signup.attempts = 0;
  signup.nextTryAt = now();
  if (!store_.update(signup, from)) throw Error(Status::Aborted, "the sign-up has changed meanwhile", "CHANGED");
  kick();
  return signup;
}

void Provisioner::note(const char *action, std::string_view principal, std::string_view handle,
                       std::string_view userId) const {
  JsonObject target;
  target.add("user", userId);
  JsonObject event;
  event.add("action", action).add("source", "signup").add("principal", principal);
  if (!handle.empty()) event.add("handle", handle);
  audit_(std::move(event.addRaw("target", std::move(target).str())).str());
}

void Provisioner::announce(const char *topic, const Signup &signup) const {
  JsonObject event;
  event.add("id", signup.id).add("userId", signup.person.userId).add("handle", signup.handle);
  event.add("wantedHandle", signup.wantedHandle).add("attempts", signup.attempts).add("error", signup.lastError);
  try {
    events_.publish(topic, std::move(event).str());
  } catch (const Error &error) {
    log_.warning("an event was not published", {{"topic", topic}, {"error", error.what()}});
  }
}

} // namespace matrixos::signup
