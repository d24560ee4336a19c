#include "metrics/Metrics.h"

#include "unit/common/Fixtures.h"

#include <doctest/doctest.h>

#include <atomic>
#include <cmath>
#include <sstream>
#include <thread>

using namespace matrixos;
using namespace matrixos::metrics;
using namespace matrixos::test;
using common::kCoreOwner;
using common::makeOwner;

namespace {

bool hasLine(const std::string &text, const std::string &line) {
  return ("\n" + text).find("\n" + line + "\n") != std::string::npos;
}

/// The number after the name in the text, or NaN.
double valueOf(const std::string &text, const std::string &name) {
  const auto at = ("\n" + text).find("\n" + name + " ");
  return at == std::string::npos ? std::nan("") : std::stod(text.substr(at + name.size() + 1));
}

std::size_t linesWith(const std::string &text, const std::string &beginning) {
  std::istringstream lines(text);
  std::size_t count = 0;
  for (std::string line; std::getline(lines, line);)
    count += line.rfind(beginning, 0) == 0 ? 1 : 0;
  return count;
}

} // namespace

TEST_CASE("counters, gauges and histograms appear in the text format") {
  Metrics metrics;
  const auto counter = metrics.series(kCoreOwner, Type::Counter, "matrixos_requests_total", "Requests.",
                                      {{"method", "GET"}, {"route", "a\"b\\c\nd"}});
  const auto gauge = metrics.series(kCoreOwner, Type::Gauge, "matrixos_instances", "Instances.");
  const double buckets[] = {0.1, 1, 10};
  const auto histogram =
      metrics.series(kCoreOwner, Type::Histogram, "matrixos_seconds", "Time.", {{"k", "v"}}, buckets);
  metrics.add(counter, 1);
  metrics.add(counter, 2);
  metrics.add(counter, -5);
  metrics.add(counter, std::nan(""));
  metrics.set(counter, 99);
  metrics.set(gauge, 7);
  metrics.add(gauge, -2);
  for (const double value : {0.05, 0.5, 5.0, 50.0})
    metrics.add(histogram, value);
  metrics.set(histogram, 1);
  const std::string text = metrics.exposition();
  CHECK(hasLine(text, "# HELP matrixos_requests_total Requests."));
  CHECK(hasLine(text, "# TYPE matrixos_requests_total counter"));
  CHECK(hasLine(text, "matrixos_requests_total{method=\"GET\",route=\"a\\\"b\\\\c\\nd\"} 3"));
  CHECK(hasLine(text, "matrixos_instances 5"));
  CHECK(hasLine(text, "matrixos_seconds_bucket{k=\"v\",le=\"0.1\"} 1"));
  CHECK(hasLine(text, "matrixos_seconds_bucket{k=\"v\",le=\"+Inf\"} 4"));
  CHECK(hasLine(text, "matrixos_seconds_count{k=\"v\"} 4"));
  CHECK(hasLine(text, "matrixos_seconds_sum{k=\"v\"} 55.55"));
}

TEST_CASE("the same series is the same handle; wrong names, labels and types are refused") {
  Metrics metrics;
  const auto make = [&](Type type, const char *name, const Labels &labels, std::vector<double> buckets = {}) {
    return metrics.series(kCoreOwner, type, name, "", labels, buckets);
  };
  const auto handle = make(Type::Counter, "matrixos_a_total", {{"x", "1"}, {"y", "2"}});
  CHECK(handle == make(Type::Counter, "matrixos_a_total", {{"y", "2"}, {"x", "1"}}));
  CHECK(handle != make(Type::Counter, "matrixos_a_total", {{"x", "1"}, {"y", "3"}}));
  CHECK(statusOf([&] { make(Type::Gauge, "matrixos_a_total", {}); }) == Status::AlreadyExists);
  CHECK(statusOf([&] { make(Type::Counter, "other_total", {}); }) == Status::InvalidArgument);
  CHECK(statusOf([&] { make(Type::Counter, "matrixos_a b", {}); }) == Status::InvalidArgument);
  CHECK(statusOf([&] { make(Type::Counter, "matrixos_b", {{"1x", ""}}); }) == Status::InvalidArgument);
  CHECK(statusOf([&] { make(Type::Counter, "matrixos_b", {{"__x", ""}}); }) == Status::InvalidArgument);
  CHECK(statusOf([&] { make(Type::Counter, "matrixos_b", {{"x", ""}, {"x", "1"}}); }) == Status::InvalidArgument);
  CHECK(statusOf([&] { make(Type::Counter, "matrixos_b", {}, {1}); }) == Status::InvalidArgument);
  CHECK(statusOf([&] { make(Type::Histogram, "matrixos_b", {}); }) == Status::InvalidArgument);
  CHECK(statusOf([&] { make(Type::Histogram, "matrixos_b", {}, {2, 1}); }) == Status::InvalidArgument);
  CHECK(statusOf([&] { make(Type::Histogram, "matrixos_b", {}, {std::nan("")}); }) == Status::InvalidArgument);
  CHECK(statusOf([&] { make(Type::Histogram, "matrixos_b", {{"le", "1"}}, {1}); }) == Status::InvalidArgument);
  CHECK(statusOf([&] { make(static_cast<Type>(9), "matrixos_b", {}); }) == Status::InvalidArgument);
  make(Type::Histogram, "matrixos_h", {}, {1, 2});
  CHECK(statusOf([&] { make(Type::Histogram, "matrixos_h", {}, {1, 3}); }) == Status::AlreadyExists);
  CHECK(metrics.exposition().find("matrixos_b") == std::string::npos);
}

TEST_CASE("label values from strangers are valid text, and too many of them share one series") {
  Metrics metrics({.seriesPerFamily = 10, .families = 3});
  metrics.series(kCoreOwner, Type::Counter, "matrixos_bad_total", "", {{"v", "a\xff\x80z"}});
  CHECK(metrics.exposition().find('\xff') == std::string::npos);
  std::vector<Handle> handles;
  for (int i = 0; i < 50; ++i) {
    handles.push_back(
        metrics.series(kCoreOwner, Type::Counter, "matrixos_many_total", "", {{"handle", std::to_string(i)}}));
    metrics.add(handles.back(), 1);
  }
  CHECK(handles[10] == handles[49]);
  CHECK(handles[9] != handles[10]);
  const std::string text = metrics.exposition();
  CHECK(hasLine(text, "matrixos_many_total{overflow=\"true\"} 40"));
  CHECK(linesWith(text, "matrixos_many_total{") == 11);
  metrics.series(kCoreOwner, Type::Gauge, "matrixos_third", "");
  CHECK(statusOf([&] { metrics.series(kCoreOwner, Type::Gauge, "matrixos_fourth", ""); }) == Status::ResourceExhausted);
}

TEST_CASE("a sweep takes what only that owner has, and stale handles do nothing, even when slots are used again") {
  Metrics metrics;
  const auto first = makeOwner();
  const auto second = makeOwner();
  const auto own = metrics.series(first, Type::Counter, "matrixos_own_total", "");
  const auto shared = metrics.series(first, Type::Counter, "matrixos_shared_total", "");
  CHECK(shared == metrics.series(second, Type::Counter, "matrixos_shared_total", ""));
  metrics.sweep(first);
  metrics.add(own, 5);
  metrics.add(shared, 1);
  CHECK(metrics.exposition().find("matrixos_own_total") == std::string::npos);
  CHECK(hasLine(metrics.exposition(), "matrixos_shared_total 1"));
  const auto reused = metrics.series(second, Type::Gauge, "matrixos_own_total", "");
  CHECK(reused != own);
  metrics.add(own, 5);
  CHECK(hasLine(metrics.exposition(), "matrixos_own_total 0"));
  metrics.add(0, 1);
  metrics.set(~std::uint64_t{0}, 1);
  metrics.sweep(second);
  CHECK(metrics.exposition().find("matrixos_") == std::string::npos);
}

TEST_CASE("threads that count, sweep and expose at the same time lose nothing and touch nothing freed") {
  Metrics metrics;
  const auto steady = metrics.series(kCoreOwner, Type::Counter, "matrixos_steady_total", "");
  const double buckets[] = {1, 2};
  std::atomic<Handle> shortLived{0};
  std::atomic<bool> stop{false};
  constexpr int kThreads = 3;
  constexpr int kEach = 20'000;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < kEach; ++i) {
        metrics.add(steady, 1);
        metrics.add(shortLived, 1);
      }
    });
  }
  std::thread churn([&] {
    while (!stop) {
      const auto owner = makeOwner();
      shortLived = metrics.series(owner, Type::Histogram, "matrixos_short_seconds", "", {}, buckets);
      metrics.exposition();
      metrics.sweep(owner);
    }
  });
  for (auto &thread : threads)
    thread.join();
  stop = true;
  churn.join();
  CHECK(valueOf(metrics.exposition(), "matrixos_steady_total") == kThreads * kEach);
}

TEST_CASE("the process tells about itself, and refreshers run first") {
  Metrics metrics;
  const auto gauge = metrics.series(kCoreOwner, Type::Gauge, "matrixos_depth", "");
  metrics.onExpose([&] { metrics.set(gauge, 12); });
  const std::string text = metrics.exposition();
  CHECK(hasLine(text, "matrixos_depth 12"));
  CHECK(valueOf(text, "process_resident_memory_bytes") > 1e6);
  CHECK(valueOf(text, "process_open_fds") >= 3);
  CHECK(valueOf(text, "process_max_fds") > 0);
  CHECK(valueOf(text, "process_threads") >= 1);
  CHECK(valueOf(text, "process_cpu_seconds_total") >= 0);
  const double started = valueOf(text, "process_start_time_seconds");
  const double now = static_cast<double>(::time(nullptr));
  CHECK(started > now - 86'400);
  CHECK(started <= now + 2);
}
