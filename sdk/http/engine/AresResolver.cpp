#include "AresResolver.h"

#include <ares.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <exception>
#include <map>
#include <mutex>
#include <system_error>
#include <utility>
#include <vector>

namespace matrixos::http {

namespace {

Resolution failureOf(int status) {
  static const std::map<int, const char *> kReasons{{ARES_ENOTFOUND, "the upstream's name does not exist"},
                                                    {ARES_ENODATA, "the upstream's name has no address"},
                                                    {ARES_EBADNAME, "the upstream's name is malformed"},
                                                    {ARES_ETIMEOUT, "the name server does not answer"},
                                                    {ARES_ECONNREFUSED, "the name server cannot be reached"},
                                                    {ARES_EBADRESP, "the name server gave a malformed answer"},
                                                    {ARES_EFORMERR, "the name server gave a malformed answer"}};
  Resolution out;
  out.definite = status == ARES_ENOTFOUND || status == ARES_ENODATA;
  const auto found = kReasons.find(status);
  out.failure = found != kReasons.end() ? found->second : "the upstream's name could not be resolved";
  return out;
}

Resolution resolutionOf(const ares_addrinfo &found) {
  Resolution out;
  int lifetime = INT32_MAX;
  for (const ares_addrinfo_cname *alias = found.cnames; alias != nullptr; alias = alias->next)
    lifetime = std::min(lifetime, alias->ttl);
  for (const ares_addrinfo_node *node = found.nodes; node != nullptr; node = node->ai_next) {
    lifetime = std::min(lifetime, node->ai_ttl);
    out.addresses.push_back(Address::fromSystem(node->ai_addr, node->ai_addrlen));
  }
  out.lifetime = std::chrono::seconds(std::max(lifetime, 0));
  return out.addresses.empty() ? failureOf(ARES_ENODATA) : out;
}

} // namespace

/// What happens on the thread. It has a channel only while questions are open, so that each burst of them sees the
/// system's configuration as it is then.
class AresResolver::Worker {
public:
  explicit Worker(AresOptions options) : options_(std::move(options)), wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    if (wake_ < 0) throw std::system_error(errno, std::generic_category(), "eventfd");
  }
  ~Worker() { ::close(wake_); }

  void add(std::string name, Done done) {
    const std::lock_guard lock(mutex_);
    questions_.push_back(std::make_unique<Question>(Question{*this, std::move(name), std::move(done)}));
    ::eventfd_write(wake_, 1);
  }

  void stop() {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    ::eventfd_write(wake_, 1);
  }

  void run() {
    while (takeQuestions())
      waitAndProcess();
    closeChannel();
    for (const auto &question : questions_)
      tell(*question, failureOf(ARES_EDESTRUCTION));
  }

private:
  struct Question {
    Worker &worker;
    std::string name;
    Done done;
  };
  struct Interest {
    int fd;
    short events;
  };

  bool takeQuestions() {
    std::vector<std::unique_ptr<Question>> taken;
    {
      const std::lock_guard lock(mutex_);
      if (stopping_) return false;
      taken.swap(questions_);
    }
    for (auto &question : taken)
      begin(std::move(question));
    if (open_ == 0) closeChannel();
    return true;
  }

  void begin(std::unique_ptr<Question> question) {
    if (const int status = openChannel(); status != ARES_SUCCESS) return tell(*question, failureOf(status));
    ares_addrinfo_hints hints{};
    hints.ai_family = AF_UNSPEC;
    hints.ai_socktype = SOCK_STREAM;
    ++open_;
    Question *asked = question.release(); // it comes back to answered(), perhaps within this call
    ares_getaddrinfo(channel_, asked->name.c_str(), nullptr, &hints, &Worker::answered, asked);
  }

  static void answered(void *argument, int status, int, ares_addrinfo *found) {
    const std::unique_ptr<Question> question(static_cast<Question *>(argument));
    --question->worker.open_;
    try {
      tell(*question, status == ARES_SUCCESS && found != nullptr ? resolutionOf(*found) : failureOf(status));
    } catch (const std::exception &) { // NOLINT(bugprone-empty-catch): out of memory; who waits has a deadline
    }
    if (found != nullptr) ares_freeaddrinfo(found);
  }

  static void tell(Question &question, Resolution resolution) { question.done(std::move(resolution)); }

  int openChannel() {
    if (channel_ != nullptr) return ARES_SUCCESS;
    ares_options options{};
    options.timeout = static_cast<int>(options_.timeout.count());
    options.tries = options_.tries;
    options.sock_state_cb = &Worker::onSocketState;
    options.sock_state_cb_data = this;
    int status = ares_init_options(&channel_, &options, ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB);
    if (status == ARES_SUCCESS && !options_.servers.empty())
      status = ares_set_servers_ports_csv(channel_, options_.servers.c_str());
    if (status != ARES_SUCCESS) closeChannel();
    return status;
  }

  void closeChannel() {
    if (channel_ != nullptr) ares_destroy(std::exchange(channel_, nullptr)); // open questions fail
    sockets_.clear();
  }

  static void onSocketState(void *self, int fd, int readable, int writable) {
    auto &sockets = static_cast<Worker *>(self)->sockets_;
    sockets.erase(std::remove_if(sockets.begin(), sockets.end(), [fd](const Interest &i) { return i.fd == fd; }),
                  sockets.end());
    const int events = (readable != 0 ? POLLIN : 0) | (writable != 0 ? POLLOUT : 0);
    if (events != 0) sockets.push_back({fd, static_cast<short>(events)});
  }

  void waitAndProcess() {
    std::vector<pollfd> polled{{wake_, POLLIN, 0}};
    for (const Interest &interest : sockets_)
      polled.push_back({interest.fd, interest.events, 0});
    int patience = -1;
    timeval wait{};
    if (channel_ != nullptr && ares_timeout(channel_, nullptr, &wait) != nullptr)
      patience = static_cast<int>(wait.tv_sec * 1000 + wait.tv_usec / 1000) + 1;
    ::poll(polled.data(), polled.size(), patience);
    eventfd_t ignored = 0;
    ::eventfd_read(wake_, &ignored);
    if (channel_ == nullptr) return;
    for (auto at = polled.begin() + 1; at != polled.end(); ++at) {
      const bool readable = (at->revents & ~POLLOUT) != 0;
      const bool writable = (at->revents & ~POLLIN) != 0;
      ares_process_fd(channel_, readable ? at->fd : ARES_SOCKET_BAD, writable ? at->fd : ARES_SOCKET_BAD);
    }
    ares_process_fd(channel_, ARES_SOCKET_BAD, ARES_SOCKET_BAD); // deadlines
  }

  const AresOptions options_;
  const int wake_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<Question>> questions_;
  bool stopping_ = false;
  // Of the thread:
  ares_channel channel_ = nullptr;
  std::size_t open_ = 0;
  std::vector<Interest> sockets_;
};

AresResolver::AresResolver(AresOptions options) : worker_(std::make_shared<Worker>(std::move(options))) {
  thread_ = std::thread([worker = worker_] {
    ::pthread_setname_np(::pthread_self(), "http-names");
    sigset_t pipe; // a name server may be asked over TCP
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    ::pthread_sigmask(SIG_BLOCK, &pipe, nullptr);
    worker->run();
  });
}

AresResolver::~AresResolver() {
  worker_->stop();
  // An answer may have been the last that knew us.
  if (thread_.get_id() == std::this_thread::get_id())
    thread_.detach();
  else
    thread_.join();
}

void AresResolver::resolve(const std::string &name, Done done) {
  worker_->add(name, std::move(done));
}

} // namespace matrixos::http
