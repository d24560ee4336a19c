#pragma once

#include <matrixos/runtime.hpp>

#include <string>

namespace matrixos::bench {

/// A runtime that costs nothing itself: what is measured is the way to it and back.
class BenchRuntime : public Runtime {
public:
  std::string capabilities(const Call &) override { return "{}"; }
  std::string create(const Call &, std::string_view) override { return "{}"; }
  void start(const Call &, std::string_view) override {}
  void stop(const Call &, std::string_view, std::chrono::milliseconds) override {}
  void remove(const Call &, std::string_view, std::uint32_t) override {}
  std::string inspect(const Call &, std::string_view) override { return description_; }
  void list(const Call &, std::string_view, const ItemFn &item) override {
    for (int i = 0; i < 1000; ++i) {
      if (!item(description_)) return;
    }
  }
  std::string endpoints(const Call &, std::string_view) override { return "[]"; }

private:
  /// About as long as a real description.
  const std::string description_ =
      R"({"ref":"b7c1","name":"matrixos-alice","state":"running","image":"ghcr.io/example/matrix-os:latest",)"
      R"("labels":{"matrixos.managed":"true","matrixos.handle":"alice","matrixos.generation":"7"},"createdAt":1732550000000,)"
      R"("startedAt":1732550001000,"exitCode":0,"oomKilled":false,"error":"","health":"healthy",)"
      R"("endpoints":[{"name":"gateway","address":"172.18.0.5","port":4000,"scope":"bridge","epoch":"1732550001"}]})";
};

} // namespace matrixos::bench
