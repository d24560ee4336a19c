#include "isolation/Supervisor.h"

#include "common/CallContext.h"
#include "common/SystemError.h"

#include <matrixos/status.hpp>

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <random>
#include <thread>

namespace matrixos::isolation {

namespace {

/// Sent to a process and not read by it; it holds the largest call several times over.
constexpr std::size_t kMostQueued = 32U << 20U;
/// For a process whose connection has ended to follow it.
constexpr std::chrono::milliseconds kFarewell{1000};
constexpr std::chrono::milliseconds kTick{1000};
constexpr std::chrono::milliseconds kLookAgain{50};

FileDescriptor makeEventFd() {
  FileDescriptor fd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!fd) common::throwErrno(errno, "making an eventfd for a plugin's process");
  return fd;
}

std::string ordinal(int number) {
  const int tens = number % 100;
  const char *end = tens >= 11 && tens <= 13 ? "th"
                    : number % 10 == 1       ? "st"
                    : number % 10 == 2       ? "nd"
                    : number % 10 == 3       ? "rd"
                                             : "th";
  return std::to_string(number) + end;
}

std::string duration(std::chrono::milliseconds time) {
  if (time.count() < 1000) return std::to_string(time.count()) + " ms";
  return std::to_string((time.count() + 500) / 1000) + " s";
}

/// Between 80 and 120 per cent, so that plugins that died together do not come back together.
std::chrono::milliseconds jittered(std::chrono::milliseconds time) {
  static thread_local std::minstd_rand random{std::random_device{}()};
  return time * std::uniform_int_distribution<int>{80, 120}(random) / 100;
}

} // namespace

Supervisor::Supervisor(ProcessSettings settings, const mos_host_v1 *host,
                       std::function<void(std::uint16_t, std::uint32_t)> provided)
    : settings_(std::move(settings)), requests_(host, settings_.id,
                                                [this](const CallRequest &request, const mos_call *call,
                                                       mos_error *error) { return calls_.run(request, call, error); }),
      calls_(settings_.limits, [this] { nudge(); }), provided_(std::move(provided)), wake_(makeEventFd()) {}

void Supervisor::nudge() const noexcept {
  ::eventfd_write(wake_.get(), 1);
}

bool Supervisor::ending() const {
  const std::lock_guard lock(mutex_);
  return ending_;
}

void Supervisor::start() {
  file_.reset(::open(settings_.file.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file_) common::throwErrno(errno, "opening " + settings_.file.string());
  std::unique_lock lock(mutex_);
  gone_ = false;
  try {
    std::thread([self = shared_from_this()] {
      ::pthread_setname_np(::pthread_self(), self->settings_.id.substr(0, 15).c_str());
      self->work();
    }).detach();
  } catch (...) {
    gone_ = true;
    throw;
  }
  changed_.wait(lock, [this] { return started_ || gone_; });
  if (!failure_) return;
  changed_.wait(lock, [this] { return gone_; });
  lock.unlock();
  requests_.end();
  throw Error(*failure_);
}

void Supervisor::stop() {
  bool up = false;
  {
    const std::lock_guard lock(mutex_);
    up = up_;
  }
  mos_error error{};
  mos_status status = MOS_OK;
  if (up) {
    const common::CallContext context(settings_.stopTimeout);
    status = calls_.run({kStop}, context.abi(), &error);
  }
  bool gone = false;
  {
    std::unique_lock lock(mutex_);
    ending_ = true;
    nudge();
    gone = changed_.wait_for(lock, 3 * kFarewell, [this] { return gone_; });
  }
  if (!gone) {
    // A process that hangs in the kernel cannot be waited for; its thread goes on alone, without the host.
    const std::lock_guard host(host_);
    alone_ = true;
  }
  calls_.end("the plugin was stopped");
  requests_.end();
  if (status == MOS_DEADLINE_EXCEEDED) {
    throw Error(Status::DeadlineExceeded,
                "stop() did not return within " + duration(settings_.stopTimeout) + "; the plugin's process was killed",
                "PLUGIN_OVERDUE");
  }
  if (status != MOS_OK && status != MOS_UNAVAILABLE) throw toError(status, error);
}

void Supervisor::wait(pollfd *entries, std::size_t count, std::chrono::milliseconds timeout) {
  host_.unlock();
  ::poll(entries, count, static_cast<int>(timeout.count()));
  host_.lock();
}

void Supervisor::work() {
  const std::lock_guard host(host_);
  for (int deaths = 0; !ending();) {
    bool wasHealthy = false;
    std::string why;
    try {
      why = runOnce(wasHealthy);
    } catch (const std::exception &e) {
      why = std::string("could not be started: ") + e.what();
    }
    if (alone_) return;
    requests_.processEnded();
    const std::size_t repeats = calls_.detach(why);
    {
      const std::lock_guard lock(mutex_);
      up_ = false;
      if (!started_) {
        started_ = true;
        if (!failure_)
          failure_ =
              std::make_unique<Error>(Status::FailedPrecondition, "the plugin's process " + why, "PLUGIN_PROCESS");
        ending_ = true;
      }
    }
    if (ending()) break;
    deaths = wasHealthy ? 1 : deaths + 1;
    requests_.countRepeats(repeats);
    if (!pauseBefore(deaths, why)) break;
    requests_.countRestart();
  }
  calls_.end("the plugin was stopped");
  const std::lock_guard lock(mutex_);
  gone_ = true;
  changed_.notify_all();
}

bool Supervisor::pauseBefore(int restart, const std::string &why) {
  auto pause = settings_.firstBackoff;
  for (int i = 1; i < restart && pause < settings_.mostBackoff; ++i)
    pause *= 2;
  pause = jittered(std::min(pause, settings_.mostBackoff));
  const std::string text = "its process " + why + ", restarting in " + duration(pause) +
                           (restart > 1 ? ", " + ordinal(restart) + " time" : "");
  requests_.degraded(text);
  requests_.ownLog().error("the plugin's process " + why, {{"restartInMs", pause.count()}, {"restarts", restart}});
  const auto end = Clock::now() + pause;
  while (!ending()) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - Clock::now());
    if (left.count() <= 0) return true;
    pollfd entry{wake_.get(), POLLIN, 0};
    wait(&entry, 1, left);
    std::uint64_t ignored = 0;
    ::eventfd_read(wake_.get(), &ignored);
  }
  return false;
}

std::string Supervisor::runOnce(bool &wasHealthy) {
  Run run;
  launch(run);
  while (!run.process->ended())
    turn(run);
  // What it said last may be an answer.
  while (run.open && receive(run)) {
  }
  wasHealthy = run.up && Clock::now() - run.upSince >= settings_.healthy;
  return obituary(run);
}

void Supervisor::launch(Run &run) {
  int sockets[2], note[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) != 0) common::throwErrno(errno, "making a socket");
  FileDescriptor ours(sockets[0]);
  const FileDescriptor theirs(sockets[1]);
  if (::pipe2(note, O_CLOEXEC | O_NONBLOCK) != 0) common::throwErrno(errno, "making a pipe");
  run.crashNote.reset(note[0]);
  const FileDescriptor noteEnd(note[1]);
  run.channel = std::make_shared<FrameChannel>(std::move(ours), FrameChannel::WhenFull::Fail, kMostQueued);
  requests_.newProcess(run.channel);
  run.process = std::make_unique<ChildProcess>(
      ChildProcess::spawn(settings_.program, {"--run", settings_.id, "--parent=" + std::to_string(::getpid())},
                          {theirs.get(), file_.get(), noteEnd.get()}));
  run.startBy = Clock::now() + settings_.startTimeout;
  HelloFrame hello;
  hello.abiMajor = MOS_ABI_MAJOR;
  hello.hostMinor = MOS_HOST_MINOR;
  run.channel->send(encode(hello));
  LogLevelFrame level;
  level.level = run.logLevel = requests_.logLevel();
  run.channel->send(encode(level));
  CallFrame start; // number 0, which no other call has
  start.function = kStart.number;
  start.deadlineNs = MOS_NO_DEADLINE;
  run.channel->send(encode(start));
}

void Supervisor::turn(Run &run) {
  std::array<pollfd, 4> entries{pollfd{run.process->fd(), POLLIN, 0}, pollfd{wake_.get(), POLLIN, 0},
                                pollfd{run.channel->wakeFd(), POLLIN, 0}, pollfd{-1, 0, 0}};
  if (run.open) entries[3] = {run.channel->fd(), run.channel->events(), 0};
  wait(entries.data(), entries.size(), run.open ? kTick : kLookAgain);
  if (alone_) run.open = false; // what it says is for a host that has gone
  if (entries[1].revents != 0) {
    std::uint64_t ignored = 0;
    ::eventfd_read(wake_.get(), &ignored);
  }
  if (run.open && !run.channel->flush()) kill(run, "was killed, since it does not read");
  if (run.open && (entries[3].revents & (POLLIN | POLLHUP | POLLERR)) != 0) receive(run);
  check(run);
}

bool Supervisor::receive(Run &run) {
  try {
    const auto received =
        run.channel->receive([&](FrameType type, std::string_view payload) { onFrame(run, type, payload); });
    run.open = received != FrameChannel::Received::End;
    // It hangs up when it dies; the process itself is not always gone yet.
    if (!run.open) run.dieBy = std::min(run.dieBy, Clock::now() + kFarewell);
    return received == FrameChannel::Received::Some;
  } catch (const std::exception &e) {
    run.open = false;
    kill(run, std::string("was killed, since it sent nonsense (") + e.what() + ")");
    return false;
  }
}

void Supervisor::onFrame(Run &run, FrameType type, std::string_view payload) {
  if (!run.greeted && type != FrameType::Hello) refuseFrame("no greeting");
  switch (type) {
  case FrameType::Hello: {
    const auto hello = decode<HelloFrame>(payload);
    if (run.greeted || hello.magic != kHelloMagic) refuseFrame("a wrong greeting");
    run.greeted = true;
    if (hello.protocol != kProtocolVersion || hello.abiMajor != MOS_ABI_MAJOR || hello.hostMinor != MOS_HOST_MINOR) {
      refuseFrame(settings_.program.string() + " is of another version than this daemon; restart the daemon");
    }
    return;
  }
  case FrameType::Result: {
    const auto frame = decode<ResultFrame>(payload);
    return frame.id == 0 ? onStarted(run, frame) : calls_.result(frame);
  }
  case FrameType::Item:
    return calls_.item(decode<ItemFrame>(payload));
  case FrameType::Use:
    return requests_.needed().call(decode<CallFrame>(payload));
  case FrameType::UseCancel:
    return requests_.needed().cancel(decode<CancelFrame>(payload));
  case FrameType::UseCredit:
    return requests_.needed().credit(decode<CreditFrame>(payload));
  case FrameType::Provide: {
    const auto frame = decode<ProvideFrame>(payload);
    if (frame.slot >= settings_.slots) refuseFrame("a service that is none of its own");
    return provided_(frame.slot, frame.minor);
  }
  case FrameType::Log:
    return requests_.log(decode<LogFrame>(payload));
  case FrameType::Series:
    run.channel->send(requests_.answer(decode<SeriesFrame>(payload)));
    return;
  case FrameType::Samples:
    return requests_.samples(decode<SamplesFrame>(payload));
  case FrameType::Ask:
    return requests_.answer(decode<AskFrame>(payload),
                            [channel = run.channel](const std::string &answer) { channel->send(answer); });
  case FrameType::Phase:
    run.phase = decode<PhaseFrame>(payload).name;
    return;
  default:
    refuseFrame("a frame that only the daemon sends");
  }
}

void Supervisor::onStarted(Run &run, const ResultFrame &frame) {
  if (run.up) refuseFrame("a second start");
  mos_error error{};
  const mos_status status = frame.failure.give(&error);
  if (status != MOS_OK) {
    const Error failure = toError(status, error);
    {
      const std::lock_guard lock(mutex_);
      if (!started_) failure_ = std::make_unique<Error>(failure);
    }
    return kill(run, std::string("could not start the plugin: ") + failure.what());
  }
  run.up = true;
  run.upSince = Clock::now();
  bool again = false;
  {
    const std::lock_guard lock(mutex_);
    again = started_;
    up_ = started_ = true;
    changed_.notify_all();
  }
  requests_.degraded("");
  if (again) requests_.ownLog().info("the plugin's process runs again", {{"pid", run.process->pid()}});
  calls_.attach(run.channel);
}

void Supervisor::check(Run &run) {
  const auto now = Clock::now();
  if (ending() && run.killed.empty() && run.dieBy == Clock::time_point::max()) {
    run.channel->close();
    run.open = false;
    run.dieBy = now + kFarewell;
  }
  if (now >= run.dieBy) return kill(run, run.up && !ending() ? "closed its connection" : "was killed");
  if (!run.killed.empty()) return;
  if (!run.up && now >= run.startBy) {
    return kill(run, "was killed, since it did not start within " + duration(settings_.startTimeout));
  }
  if (run.channel->stalled(settings_.stall)) return kill(run, "was killed, since it does not read");
  if (calls_.hung()) {
    return kill(run, "was killed, since it hung: " + calls_.givenUp() + " did not return by their deadlines");
  }
  if (!run.open) return;
  if (const std::uint32_t level = requests_.logLevel(); level != run.logLevel) {
    LogLevelFrame frame;
    frame.level = run.logLevel = level;
    run.channel->send(encode(frame));
  }
}

void Supervisor::kill(Run &run, const std::string &why) {
  if (run.killed.empty()) run.killed = why;
  run.process->kill();
}

std::string Supervisor::obituary(Run &run) {
  if (!run.killed.empty()) return run.killed;
  std::array<char, 48> note{};
  const ssize_t length = ::read(run.crashNote.get(), note.data(), note.size() - 1);
  std::string where = length > 0 ? std::string(note.data(), static_cast<std::size_t>(length)) : std::string();
  const bool plain = std::all_of(where.begin(), where.end(), [](char c) { return c >= ' ' && c < 127; });
  if (where.empty() || !plain) where = run.up ? calls_.inside() : run.phase;
  const std::string how = run.process->ended()->toString();
  return where.empty() ? how : how + " in " + where;
}

} // namespace matrixos::isolation
