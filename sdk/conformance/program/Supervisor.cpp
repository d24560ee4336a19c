#include "CallTrace.h"
#include "CaseProcess.h"
#include "Child.h"
#include "LoadedPlugin.h"

#include <matrixos/ulid.hpp>

#include <nlohmann/json.hpp>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>

namespace matrixos::conformance {

namespace {

namespace fs = std::filesystem;

volatile std::sig_atomic_t interrupted = 0;

/// The folder of one run, removed at its end.
class WorkDirectory {
public:
  explicit WorkDirectory(bool keep) : keep_(keep) {
    std::string name = (fs::temp_directory_path() / "mosconf-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr)
      throw std::runtime_error("cannot make a folder in " + fs::temp_directory_path().string());
    path_ = name;
    fs::create_directories(path_ / "data");
    fs::create_directories(path_ / "users");
  }
  ~WorkDirectory() {
    std::error_code ignored;
    if (!keep_) fs::remove_all(path_, ignored);
  }
  WorkDirectory(const WorkDirectory &) = delete;
  WorkDirectory &operator=(const WorkDirectory &) = delete;
  const fs::path &path() const { return path_; }

private:
  fs::path path_;
  bool keep_;
};

std::string freshRunId() {
  std::string id = makeUlid().substr(16);
  std::transform(id.begin(), id.end(), id.begin(), [](char c) { return c >= 'A' ? static_cast<char>(c + 32) : c; });
  return id;
}

std::string joined(const std::vector<std::string> &parts) {
  std::string all;
  for (const std::string &part : parts)
    all += (all.empty() ? "" : ", ") + part;
  return all;
}

/// How a process of cases ends that wants another one.
const std::string kAgainStatus = "exit status " + std::to_string(kAgain);

/// Runs cases in children until each has a result.
class Run {
public:
  Run(const Settings &settings, std::ostream &out)
      : settings_(settings), out_(out), tty_(::isatty(STDERR_FILENO) == 1) {}

  std::vector<CaseResult> all(const std::vector<Case> &selected) {
    for (const Case &one : selected)
      open_.push_back(one.id);
    while (!open_.empty() && interrupted == 0) {
      const std::size_t before = open_.size();
      oneChild();
      if (open_.size() == before) fail(open_.front(), "the cases to run", "the process that runs them ended at once");
    }
    return results_;
  }

private:
  void oneChild() {
    std::error_code none;
    fs::remove(settings_.traceFile(), none);
    const std::size_t before = open_.size();
    Child child(argumentsOf(settings_, "cases"));
    for (const std::string &id : open_)
      child.send(id);
    child.send("");
    std::string running;
    while (!child.ended() && interrupted == 0) {
      const auto line = child.receive(settings_.caseTimeout);
      if (line) {
        take(*line, running);
      } else if (!child.ended()) {
        const std::string which = running.empty() ? open_.empty() ? "" : open_.front() : running;
        if (!which.empty()) {
          const CallTrace::Left left = CallTrace::read(settings_.traceFile());
          fail(which, "the case to end within " + std::to_string(settings_.caseTimeout.count()) + " ms",
               left.inside.empty() ? "a call hangs" : joined(left.inside) + " hangs", left.calls);
        }
        return;
      }
    }
    if (interrupted != 0) return;
    const std::string end = child.wait(std::chrono::seconds{10});
    if (!running.empty() && isOpen(running))
      died(running, "the case to end", end);
    else if (open_.size() == before && !open_.empty())
      died(open_.front(), "the cases to run", end);
    else if (!child.clean() && end != kAgainStatus && !broken_)
      died("host.process", "the plugin to be stopped after its cases", end);
  }

  void died(const std::string &id, const std::string &expected, const std::string &end) {
    const CallTrace::Left left = CallTrace::read(settings_.traceFile());
    const std::string in = joined(left.inside);
    fail(id, expected,
         "the plugin ended its process with " + end +
             (in.empty() ? " while no call was inside it: a thread of its own did, or what was called before"
                         : " in " + in),
         left.calls, end, in);
  }

  void take(const std::string &line, std::string &running) {
    const nlohmann::json message = nlohmann::json::parse(line, nullptr, false);
    if (message.contains("begin")) {
      running = message["begin"].get<std::string>();
      if (tty_) std::cerr << "\r\x1b[K… " << running << std::flush;
    } else if (message.contains("result")) {
      done(decode(message["result"].dump()));
      running.clear();
    } else if (message.contains("broken")) {
      broken_ = true;
      while (!open_.empty())
        fail(open_.front(), "a plugin that can be loaded, created and started", message["broken"].get<std::string>());
    }
  }

  bool isOpen(const std::string &id) const { return std::find(open_.begin(), open_.end(), id) != open_.end(); }

  void fail(const std::string &id, const std::string &expected, const std::string &got,
            const std::vector<std::string> &calls = {}, const std::string &diedWith = {},
            const std::string &diedIn = {}) {
    CaseResult result;
    result.id = id;
    result.group = id.substr(0, id.find('.'));
    result.outcome = CaseOutcome::Fail;
    result.reason = "it could not be judged";
    result.expected = expected;
    result.got = got;
    result.rule = "plugin.h: every function returns, and the process lives on";
    result.calls = calls;
    result.diedWith = diedWith;
    result.diedIn = diedIn;
    done(result);
  }

  void done(const CaseResult &result) {
    open_.erase(std::remove(open_.begin(), open_.end(), result.id), open_.end());
    results_.push_back(result);
    if (tty_) std::cerr << "\r\x1b[K" << std::flush;
    out_ << describe(result, &out_ == &std::cout && ::isatty(STDOUT_FILENO) == 1) << std::flush;
  }

  const Settings &settings_;
  std::ostream &out_;
  const bool tty_;
  std::vector<std::string> open_;
  std::vector<CaseResult> results_;
  bool broken_ = false; ///< the plugin cannot be loaded or started, and the process said why
};

void printCases(const std::vector<Case> &selected) {
  for (const Case &one : selected) {
    std::string name = one.id;
    name.resize(std::max<std::size_t>(name.size(), 34), ' ');
    std::cout << (one.core ? "core  " : "      ") << name << "  " << one.title << "\n      " << std::string(36, ' ')
              << one.rule << "\n";
  }
}

/// Asked of the file in a process of its own: a plugin's constructors may do anything.
std::pair<std::string, std::string> identify(const Settings &settings) {
  Child child(argumentsOf(settings, "identify"));
  const auto line = child.receive(std::chrono::seconds{10});
  if (!line)
    throw std::runtime_error(settings.plugin + " cannot be loaded: it ends the process with " +
                             child.wait(std::chrono::seconds{1}));
  const nlohmann::json answer = nlohmann::json::parse(*line);
  if (answer.contains("broken")) throw std::runtime_error(answer["broken"].get<std::string>());
  return {answer.value("id", ""), answer.value("version", "")};
}

} // namespace

int supervise(Settings settings) {
  const std::vector<Case> selected = select(allCases(settings), settings.pattern, settings.coreOnly);
  if (selected.empty())
    throw Error(Status::InvalidArgument, "no case matches \"" + settings.pattern + "\"; --list shows them");
  if (settings.listOnly) {
    printCases(selected);
    return 0;
  }
  const WorkDirectory directory(settings.options.keep);
  settings.workDirectory = directory.path();
  settings.options.runId = freshRunId();
  for (const int number : {SIGINT, SIGTERM})
    std::signal(number, [](int) { interrupted = 1; });
  const auto [id, version] = identify(settings);
  std::ostream &out = settings.jsonFile == "-" ? std::cerr : std::cout;
  out << id << " " << version << ", " MOS_RUNTIME_1 "\n";
  const std::vector<CaseResult> results = Run(settings, out).all(selected);
  if (!settings.options.keep) {
    Child cleaner(argumentsOf(settings, "clean"));
    const std::string end = cleaner.wait(std::chrono::seconds{30});
    if (!cleaner.clean())
      out << "what the cases made may still be there: the process that was to remove it ended with " << end << "\n";
  }
  const std::string report = toJson(id, version, results);
  if (settings.jsonFile == "-")
    std::cout << report << std::endl;
  else if (!settings.jsonFile.empty() && !(std::ofstream(settings.jsonFile) << report << "\n"))
    throw std::runtime_error("cannot write " + settings.jsonFile);
  out << summary(results) << (interrupted != 0 ? ", interrupted" : "") << std::endl;
  const bool failed =
      std::any_of(results.begin(), results.end(), [](const CaseResult &r) { return r.outcome == CaseOutcome::Fail; });
  return failed || interrupted != 0 ? 1 : 0;
}

} // namespace matrixos::conformance
