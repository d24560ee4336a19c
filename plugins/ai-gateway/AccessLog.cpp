#include "AccessLog.h"

#include <matrixos/access_log.hpp>
#include <matrixos/text/time.hpp>

#include <exception>
#include <utility>

namespace matrixos::gateway {

void AccessLog::add(AccessRecord record) noexcept {
  const std::lock_guard lock(mutex_);
  try {
    if (records_.size() < kMost) return records_.push_back(std::move(record));
  } catch (const std::exception &) {
    // Out of memory: a line less.
  }
  ++dropped_;
}

void AccessLog::unknownModel(std::string_view model) noexcept {
  const std::lock_guard lock(mutex_);
  try {
    if (unknownModels_.size() < kMostModels) unknownModels_.emplace(model, false);
  } catch (const std::exception &) {
    // Out of memory: the metric tells.
  }
}

void AccessLog::write() {
  std::vector<AccessRecord> records;
  std::uint64_t dropped = 0;
  std::vector<std::string> models;
  {
    const std::lock_guard lock(mutex_);
    for (auto &[model, told] : unknownModels_)
      if (!std::exchange(told, true)) models.push_back(model);
    records.swap(records_);
    dropped = std::exchange(dropped_, 0);
  }
  for (const AccessRecord &record : records) {
    AccessEntry entry;
    const std::string endedAt = formatTime(record.atMs);
    entry.requestId = record.requestId;
    entry.endedAt = endedAt;
    entry.route = record.route;
    entry.handle = record.handle;
    entry.method = record.method;
    entry.path = record.path;
    entry.status = record.status;
    entry.bytesIn = record.bytesIn;
    entry.bytesOut = record.bytesOut;
    entry.durationUs = record.tookMicros;
    entry.peer = record.peer;
    entry.reason = record.reason;
    std::vector<Field> fields;
    eachAccessField(entry, [&](std::string_view name, auto value) { fields.emplace_back(name, value); });
    if (!record.model.empty()) fields.emplace_back("model", record.model);
    if (!record.costUsd.empty()) {
      fields.emplace_back("costUsd", record.costUsd);
      fields.emplace_back("outputTokens", record.outputTokens);
    }
    if (!record.traceparent.empty()) fields.emplace_back("traceparent", record.traceparent);
    log_.write(MOS_LOG_INFO, kAccessMessage, fields.data(), fields.size());
  }
  for (const std::string &model : models)
    log_.warning("a model has no price and costs the dearest one; add it to the prices", {{"model", model}});
  if (dropped != 0) log_.warning("access log lines were dropped under load", {{"count", dropped}});
}

} // namespace matrixos::gateway
