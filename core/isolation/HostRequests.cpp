#include "isolation/HostRequests.h"

#include <matrixos/status.hpp>

#include <algorithm>

namespace matrixos::isolation {

namespace {

constexpr std::size_t kMostSeries = 2000;
/// A process that talks more fills disks rather than helps.
constexpr std::uint32_t kMostLogLines = 1000;

std::vector<mos_pair> toPairs(const std::vector<Pair> &list) {
  std::vector<mos_pair> pairs;
  pairs.reserve(list.size());
  for (const auto &[key, value] : list)
    pairs.push_back({toAbi(key), toAbi(value)});
  return pairs;
}

} // namespace

HostRequests::HostRequests(const mos_host_v1 *host, const std::string &plugin)
    : config_(host), platform_(host), log_(host), metrics_(host),
      logTable_(detail::hostTable<mos_host_log_v1>(host, MOS_HOST_LOG_1)),
      metricsTable_(detail::hostTable<mos_host_metrics_v1>(host, MOS_HOST_METRICS_1)),
      eventsTable_(detail::hostTable<mos_host_events_v1>(host, MOS_HOST_EVENTS_1)),
      restarts_(metrics_.counter("matrixos_plugin_process_restarts_total",
                                 "Times that the process of an isolated plugin was started again.",
                                 {{"plugin", plugin}})),
      repeats_(metrics_.counter("matrixos_plugin_calls_repeated_total",
                                "Calls into an isolated plugin that were made again after its process had died.",
                                {{"plugin", plugin}})) {
  restarts_.add(0);
  repeats_.add(0);
}

void HostRequests::newProcess() {
  series_.clear();
  const std::lock_guard lock(mutex_);
  theirs_.clear();
  showDegraded();
}

void HostRequests::log(const LogFrame &frame) {
  const auto now = std::chrono::steady_clock::now();
  if (now - logSecond_ >= std::chrono::seconds{1}) {
    if (logDropped_ > 0)
      log_.warning("messages of the plugin's process were dropped, it sent too many", {{"dropped", logDropped_}});
    logSecond_ = now;
    logLines_ = logDropped_ = 0;
  }
  if (++logLines_ > kMostLogLines) {
    ++logDropped_;
    return;
  }
  std::vector<mos_field> fields;
  fields.reserve(frame.list.size());
  for (const LogField &field : frame.list)
    fields.push_back({toAbi(field.key), toAbi(field.text), field.integer, field.real, field.type, 0});
  logTable_->write_fields(logTable_->self, std::clamp<std::uint32_t>(frame.level, MOS_LOG_ERROR, MOS_LOG_DEBUG),
                          toAbi(frame.message), fields.data(), static_cast<std::uint32_t>(fields.size()));
}

void HostRequests::samples(const SamplesFrame &frame) {
  for (const Sample &sample : frame.list) {
    if (sample.series >= series_.size()) refuseFrame("a sample of a series that was not named");
    const auto change = sample.sets != 0 ? metricsTable_->set : metricsTable_->add;
    change(metricsTable_->self, series_[sample.series], sample.value);
  }
}

std::string HostRequests::answer(const SeriesFrame &frame) {
  if (frame.number != series_.size()) refuseFrame("series are not numbered in turn");
  if (series_.size() >= kMostSeries) refuseFrame("it has more than " + std::to_string(kMostSeries) + " series");
  const std::vector<mos_pair> labels = toPairs(frame.labels);
  mos_error error{};
  std::uint64_t handle = 0;
  const mos_status status =
      metricsTable_->series(metricsTable_->self, frame.type, toAbi(frame.name), toAbi(frame.help), labels.data(),
                            static_cast<std::uint32_t>(labels.size()), frame.buckets.data(),
                            static_cast<std::uint32_t>(frame.buckets.size()), &handle, &error);
  series_.push_back(handle);
  AnswerFrame answer;
  answer.id = frame.id;
  answer.failure = FrameError::of(status, error);
  return encode(answer);
}

std::string HostRequests::answer(const AskFrame &frame) {
  AnswerFrame answer;
  answer.id = frame.id;
  mos_error error{};
  const mos_status status = guarded(&error, [&] { answerQuestion(frame, answer); });
  answer.failure = FrameError::of(status, error);
  std::string bytes;
  if (guarded(&error, [&] { bytes = encode(answer); }) == MOS_OK) return bytes;
  AnswerFrame tooLong;
  tooLong.id = frame.id;
  tooLong.failure = FrameError::of(error.status, error);
  return encode(tooLong);
}

void HostRequests::answerQuestion(const AskFrame &frame, AnswerFrame &answer) {
  switch (static_cast<Question>(frame.question)) {
  case Question::ConfigString:
    text_ = config_.getString(frame.first);
    answer.text = text_;
    return;
  case Question::ConfigInt:
    answer.integer = config_.getInt(frame.first);
    return;
  case Question::ConfigNumber:
    answer.number = config_.getNumber(frame.first);
    return;
  case Question::ConfigList:
    list_ = config_.getList(frame.first);
    answer.list.assign(list_.begin(), list_.end());
    return;
  case Question::PlatformInfo:
    text_ = platform_.info();
    answer.text = text_;
    return;
  case Question::Degraded: {
    const std::lock_guard lock(mutex_);
    theirs_ = frame.first;
    return showDegraded();
  }
  case Question::Publish:
    return check([&](mos_error *e) {
      return eventsTable_->publish(eventsTable_->self, toAbi(frame.first), toAbi(frame.second), e);
    });
  }
  refuseFrame("there is no question " + std::to_string(frame.question));
}

std::uint32_t HostRequests::logLevel() const noexcept {
  std::uint32_t level = MOS_LOG_ERROR;
  while (level < MOS_LOG_DEBUG && log_.enabled(level + 1))
    ++level;
  return level;
}

void HostRequests::degraded(const std::string &why) {
  const std::lock_guard lock(mutex_);
  ours_ = why;
  showDegraded();
}

} // namespace matrixos::isolation
