#include "log/Log.h"

#include "unit/common/Fixtures.h"

#include <matrixos/file_descriptor.hpp>
#include <matrixos/json.hpp>

#include <Poco/Logger.h>
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <sstream>
#include <thread>
#include <vector>

using namespace matrixos;
using namespace matrixos::log;
using namespace matrixos::test;

namespace {

/// Sends the log into a pipe or socket for the length of a test.
class Capture {
public:
  explicit Capture(Format format = Format::Json, bool socket = false) {
    int ends[2];
    const int made = socket ? ::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) : ::pipe2(ends, O_CLOEXEC);
    if (made != 0) throw std::runtime_error("no pipe");
    read_.reset(ends[0]);
    write_.reset(ends[1]);
    ::fcntl(read_.get(), F_SETFL, O_NONBLOCK);
    options_.format = format;
    options_.fd = write_.get();
    configure(options_);
  }
  ~Capture() { configure({}); }
  Capture(const Capture &) = delete;
  Capture &operator=(const Capture &) = delete;

  Options &options() { return options_; }
  std::string text() {
    char chunk[65536];
    for (ssize_t got = 0; (got = ::read(read_.get(), chunk, sizeof chunk)) > 0;) {
      text_.append(chunk, static_cast<std::size_t>(got));
    }
    return text_;
  }
  void closeReader() { read_.reset(); }

private:
  FileDescriptor read_;
  FileDescriptor write_;
  Options options_;
  std::string text_;
};

std::size_t linesIn(const std::string &text) {
  return static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
}

} // namespace

TEST_CASE("messages carry their fields and the request id of the thread") {
  Capture capture;
  const Log logger("core.test");
  {
    const RequestScope outer("r1");
    const RequestScope inner("r2");
    logger.info("inside", {{"status", 200}});
  }
  logger.error("outside");
  const std::string text = capture.text();
  REQUIRE(linesIn(text) == 2);
  const auto first = json::parseObject(text.substr(0, text.find('\n')));
  CHECK(json::getString(*first, "requestId") == "r2");
  CHECK(json::getInt(*first, "status", 0) == 200);
  CHECK(json::getString(*first, "time").size() == 24);
  const auto second = json::parseObject(text.substr(text.find('\n') + 1));
  CHECK_FALSE(second->has("requestId"));
  CHECK(json::getString(*second, "level") == "error");
}

TEST_CASE("levels are set for all, for a branch and for one, at run time, for existing loggers") {
  Capture capture;
  const Log http("core.http");
  const Log corex("corex");
  const Log plugin("proxy");
  capture.options().level = Level::Warning;
  capture.options().levels = {{"core", Level::Debug}};
  configure(capture.options());
  CHECK(http.enabled(Level::Debug));
  CHECK_FALSE(corex.enabled(Level::Info));
  CHECK_FALSE(plugin.enabled(Level::Info));
  CHECK(Log("core.late").enabled(Level::Debug));
  plugin.info("dropped");
  http.debug("kept");
  setLevel("proxy", Level::Debug);
  plugin.debug("kept too");
  setLevel("", Level::Error);
  CHECK_FALSE(http.enabled(Level::Warning));
  CHECK_FALSE(plugin.enabled(Level::Warning));
  const std::string text = capture.text();
  CHECK(linesIn(text) == 2);
  CHECK(text.find("dropped") == std::string::npos);
  CHECK(parseLevel("debug") == Level::Debug);
  CHECK(statusOf([] { parseLevel("loud"); }) == Status::InvalidArgument);
}

TEST_CASE("a registered secret never reaches the output; short ones are not taken") {
  Capture capture;
  addSecret("s3cr3t-value");
  addSecret("abc");
  const Log logger("core.test");
  logger.info("got s3cr3t-value", {{"token", std::string("s3cr3t-value")}, {"word", "abc"}});
  const std::string text = capture.text();
  CHECK(text.find("s3cr3t-value") == std::string::npos);
  CHECK(text.find("\"token\":\"[redacted]\"") != std::string::npos);
  CHECK(text.find("\"word\":\"abc\"") != std::string::npos);
}

TEST_CASE("lines of many threads stay whole") {
  Capture capture(Format::Json, true);
  const Log logger("core.test");
  std::vector<std::thread> threads;
  std::string text;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 200; ++i)
        logger.info(std::string(200, 'x'), {{"i", i}});
    });
  }
  CHECK(eventually([&] { return linesIn(text = capture.text()) == 800; }));
  for (auto &thread : threads)
    thread.join();
  std::size_t begin = 0;
  for (std::size_t end = 0; (end = text.find('\n', begin)) != std::string::npos; begin = end + 1) {
    CHECK_NOTHROW(json::parseObject(text.substr(begin, end - begin)));
  }
}

TEST_CASE("a reader that stalls costs one wait, then lines are dropped and counted until it reads again") {
  for (const bool socket : {false, true}) {
    CAPTURE(socket);
    Capture capture(Format::Json, socket);
    const Log logger("core.test");
    const auto before = counts().dropped;
    const std::string filler(4000, 'x');
    for (int i = 0; i < 3000; ++i)
      logger.info(filler);
    CHECK(counts().dropped > before + 1000);
    REQUIRE(linesIn(capture.text()) > 0);
    logger.info("back again");
    const std::string text = capture.text();
    CHECK(text.find("log lines were dropped") != std::string::npos);
    CHECK(text.find("back again") != std::string::npos);
    const std::string tail = text.substr(text.rfind('\n', text.size() - 2) + 1);
    CHECK_NOTHROW(json::parseObject(tail));
  }
}

TEST_CASE("a log whose reader is gone, or that has no descriptor, harms nothing and keeps errno") {
  const Log logger("core.test");
  for (const bool socket : {false, true}) {
    Capture capture(Format::Human, socket);
    capture.closeReader();
    errno = 77;
    logger.info("nobody hears this");
    CHECK(errno == 77);
  }
  configure({.fd = -1});
  logger.info("nowhere");
  configure({.fd = 9999});
  logger.info("nowhere");
  logger.write(static_cast<Level>(77), "unknown level", {});
  configure({});
}

TEST_CASE("lines for the journal begin with their priority; those of who only inherited its variable do not") {
  for (const bool journal : {true, false}) {
    CAPTURE(journal);
    int ends[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
    const FileDescriptor reader(ends[0]);
    const FileDescriptor writer(ends[1]);
    struct stat stream {};
    REQUIRE(::fstat(writer.get(), &stream) == 0);
    const std::string named = std::to_string(stream.st_dev) + ":" + std::to_string(stream.st_ino + (journal ? 0 : 1));
    ::setenv("JOURNAL_STREAM", named.c_str(), 1);
    configure({.format = Format::Human, .level = Level::Debug, .levels = {}, .fd = writer.get()});
    const Log logger("core.test");
    logger.error("e");
    logger.warning("w");
    logger.info("i");
    logger.debug("d");
    tell(Level::Error, "the configuration is wrong");
    configure({});
    ::unsetenv("JOURNAL_STREAM");
    char text[4096] = {};
    REQUIRE(::recv(reader.get(), text, sizeof text - 1, MSG_DONTWAIT) > 0);
    std::string begins;
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);)
      begins += line.substr(0, 3) + " ";
    CHECK(begins == (journal ? "<3> <4> <6> <7> <3> " : "202 202 202 202 the "));
  }
}

TEST_CASE("Poco's own loggers end up here, existing and new ones") {
  Poco::Logger &early = Poco::Logger::get("Early");
  Capture capture;
  capturePoco();
  early.warning("from early");
  Poco::Logger::get("Late.Child").information("from late");
  Poco::Logger::root().error("from the root");
  const std::string text = capture.text();
  CHECK(text.find("\"level\":\"warning\",\"logger\":\"poco.Early\",\"message\":\"from early\"") != std::string::npos);
  CHECK(text.find("\"logger\":\"poco.Late.Child\"") != std::string::npos);
  CHECK(text.find("\"level\":\"error\",\"logger\":\"poco\"") != std::string::npos);
}
