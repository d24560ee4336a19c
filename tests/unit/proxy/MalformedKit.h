/// Upstreams and neighbours for the tables of malformed messages.
#pragma once

#include "Kit.h"

#include <sdk/http/MalformedMessages.h>
#include <support/Process.h>
#include <support/TempDir.h>

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace kit {

std::string getRequest(const std::string &path, const std::string &fields = {});

/// What would be executed if a message were thought to end where it does not.
std::string hiddenRequest();

/// An upstream that notes each whole request and answers 200 with its target.
class Recorder {
public:
  struct Served {
    std::string method;
    std::string target;
  };

  Recorder() : upstream_([this](Conn &conn) { serve(conn); }) {}

  std::uint16_t port() const { return upstream_.port(); }
  std::vector<Served> take();

private:
  void serve(Conn &conn);
  static bool skipBody(Conn &conn, const std::string &head);

  std::mutex mutex_;
  std::vector<Served> served_;
  Upstream upstream_;
};

/// Answers /N with the text of row N and with "hidden", and every other target with itself. It stays for a moment, so
/// that whoever would use the connection again could.
class Liar {
public:
  explicit Liar(std::vector<std::string> rows) : rows_(std::move(rows)), upstream_([this](Conn &c) { serve(c); }) {}
  std::uint16_t port() const { return upstream_.port(); }

private:
  void serve(Conn &conn) const;

  std::vector<std::string> rows_;
  Upstream upstream_;
};

/// Sends a message, a request behind it and a last one. Checks that each request that was served was answered, with
/// its own answer and in order, and that nothing else was; tells how many there were.
std::size_t replay(std::uint16_t port, const std::string &text, Recorder &recorder);

/// Asks for a row of a Liar, and then for something good, on the same connection where there still is one. What is
/// wrong with the second answer, or with what follows it; empty when all is well. `*first` becomes all that came for
/// the row.
std::string askAround(std::uint16_t port, const std::string &method, const std::string &path, std::string *first);

/// Calls for each index, several at a time; what the calls say is wrong.
std::vector<std::string> forEachAtOnce(std::size_t count, const std::function<std::string(std::size_t)> &check);

/// A proxy of Debian's, as lenient as it can be told to be, so that it passes on what it can.
class Neighbour {
public:
  enum class Kind { Nginx, HAProxy };

  Neighbour(Kind kind, std::uint16_t to);
  std::uint16_t port() const { return port_; }

  static constexpr std::pair<Kind, const char *> kAll[] = {{Kind::Nginx, "/usr/sbin/nginx"},
                                                           {Kind::HAProxy, "/usr/sbin/haproxy"}};
  /// False, with a message, where it is not installed; that is a failure where CI=true.
  static bool installed(const char *program);

private:
  std::string nginxConfig(const std::string &listen, const std::string &target) const;
  static std::string haproxyConfig(const std::string &listen, const std::string &target);

  matrixos::test::TempDir dir_;
  std::uint16_t port_;
  std::optional<matrixos::test::Process> process_;
};

} // namespace kit
