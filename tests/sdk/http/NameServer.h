/// A name server on 127.0.0.1 that says what a test tells it to.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace stand {

class NameServer {
public:
  /// What it says to a question: the bytes of the answers, none: it keeps silent.
  using Script = std::function<std::vector<std::string>(const std::string &question)>;
  static constexpr int kA = 1;
  static constexpr int kAaaa = 28;
  struct Record {
    int type;
    std::string address; ///< IPv4 or IPv6
    std::uint32_t lifetime;
  };

  NameServer();
  ~NameServer();
  NameServer(const NameServer &) = delete;
  NameServer &operator=(const NameServer &) = delete;

  /// "127.0.0.1:PORT"
  std::string address() const;
  void say(Script script);
  /// Answers with those of the records that were asked for; no records at all: there is no such name.
  void say(std::vector<Record> records);
  int asked() const noexcept { return asked_; }

  /// 1 or 28; 0 if the question is malformed.
  static int typeOf(const std::string &question);
  /// The name that is asked for, as text.
  static std::string nameOf(const std::string &question);
  static std::string answer(const std::string &question, const std::vector<Record> &records, int code = 0);

private:
  void run();

  int fd_ = -1;
  std::uint16_t port_ = 0;
  std::mutex mutex_;
  Script script_;
  std::atomic<int> asked_{0};
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

} // namespace stand
