#include "Ends.h"

#include <matrixos/text/time.hpp>

#include <algorithm>

namespace matrixos::orchestrator {

namespace {

/// A run that was shorter belongs to a row of ends; Docker takes the same time to forget its own back-off.
constexpr std::int64_t kShortRunMs = 10'000;

std::int64_t countOf(const Instance &record, const Description &container) {
  const bool ended = container.state == "exited" || container.state == "dead";
  if (container.restarts >= 0 && record.restarts >= 0)
    return std::max<std::int64_t>(container.restarts - record.restarts, 0) + (ended ? 1 : 0);
  if (ended) return 1;
  // Without a count, another run shows that the one before is over.
  const bool anotherRun = record.startedAt != 0 && container.startedAt != 0 && container.startedAt != record.startedAt;
  return container.restarts < 0 && anotherRun ? 1 : 0;
}

} // namespace

std::string endText(const InstanceEnd &end) {
  std::string text = "the container ended";
  if (end.exitCode >= 0) text += " with exit code " + std::to_string(end.exitCode);
  if (end.times > 1) text += ", " + std::to_string(end.times) + " times";
  return end.oomKilled ? text + ": out of memory" : text;
}

std::optional<EndsSeen> endsSince(const Instance &record, const Description &container, const EndHint &hint) {
  if (record.phase != Phase::Running && record.phase != Phase::Sleeping) return std::nullopt;
  const std::int64_t count = countOf(record, container);
  if (count == 0) return std::nullopt;
  const bool runsAgain = container.state == "running" || container.state == "paused";
  // Of the run that ended the engine still says when it began, unless it has begun another.
  const std::int64_t began = runsAgain || container.startedAt == 0 ? record.startedAt : container.startedAt;
  const bool hinted = hint.at != 0 && hint.at >= began;
  EndsSeen seen{count, {}};
  seen.last.exitCode = runsAgain ? (hinted ? hint.exitCode : -1) : container.exitCode;
  seen.last.oomKilled = container.oomKilled || (hinted && hint.oomKilled);
  seen.last.at = hinted ? hint.at : wallClockMs();
  const std::int64_t ran = (seen.last.at - began) / count;
  const bool soon = began != 0 && ran >= 0 && ran < kShortRunMs;
  seen.last.times = soon ? record.lastEnd.times + count : 1;
  return seen;
}

InstanceEnd endAtStart(const InstanceEnd &before, const Description &container) {
  return {container.exitCode, container.oomKilled, before.times + 1, wallClockMs()};
}

} // namespace matrixos::orchestrator
