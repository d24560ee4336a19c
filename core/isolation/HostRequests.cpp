#include "isolation/HostRequests.h"

#include <matrixos/status.hpp>

#include <algorithm>
#include <memory>
#include <utility>

namespace matrixos::isolation {

namespace {

constexpr std::size_t kMostSeries = 2000;
/// Of a page of keys and values, after which no further one is added.
constexpr std::size_t kFullPage = 1U << 20U;
/// A process that talks more fills disks rather than helps.
constexpr std::uint32_t kMostLogLines = 1000;

} // namespace

HostRequests::HostRequests(const mos_host_v1 *host, const std::string &plugin, HostCalls::CallPlugin callPlugin)
    : config_(host), platform_(host), log_(host), metrics_(host),
      logTable_(detail::hostTable<mos_host_log_v1>(host, MOS_HOST_LOG_1)),
      metricsTable_(detail::hostTable<mos_host_metrics_v1>(host, MOS_HOST_METRICS_1)),
      eventsTable_(detail::hostTable<mos_host_events_v1>(host, MOS_HOST_EVENTS_1)),
      restarts_(metrics_.counter("matrixos_plugin_process_restarts_total",
                                 "Times that the process of an isolated plugin was started again.",
                                 {{"plugin", plugin}})),
      repeats_(metrics_.counter("matrixos_plugin_calls_repeated_total",
                                "Calls into an isolated plugin that were made again after its process had died.",
                                {{"plugin", plugin}})),
      needed_(std::make_shared<NeededServices>(host, std::move(callPlugin))), subscriptions_(host) {
  restarts_.add(0);
  repeats_.add(0);
  const auto has = [&](const char *id) { return host->get_interface(host->self, id) != nullptr; };
  if (has(MOS_HOST_EXECUTOR_1)) executor_.emplace(host);
  if (has(MOS_HOST_KV_1)) keyValues_.emplace(host);
}

void HostRequests::newProcess(const std::shared_ptr<FrameChannel> &channel) {
  needed_->attach(channel);
  subscriptions_.attach(channel);
  series_.clear();
  const std::lock_guard lock(mutex_);
  theirs_.clear();
  showDegraded();
}

void HostRequests::processEnded() {
  needed_->detach();
  subscriptions_.detach();
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

void HostRequests::answer(const AskFrame &frame, std::function<void(const std::string &)> send) {
  if (!takesTime(frame.question)) {
    return send(encodeAnswer(frame, [&](AnswerFrame &answer, Texts &texts) { answerQuestion(frame, answer, texts); }));
  }
  struct Later {
    std::string first, second;
    AskFrame frame;
  };
  auto later = std::make_shared<Later>(Later{std::string(frame.first), std::string(frame.second), frame});
  later->frame.first = later->first;
  later->frame.second = later->second;
  try {
    if (!executor_ || !keyValues_) throw Error(Status::Unimplemented, "this host keeps no values", "ISOLATED");
    executor_->submit([this, later, send] {
      send(encodeAnswer(later->frame,
                        [&](AnswerFrame &answer, Texts &texts) { answerKv(later->frame, answer, texts); }));
    });
  } catch (const Error &e) {
    send(encodeAnswer(frame, [&](AnswerFrame &, Texts &) { throw e; }));
  }
}

std::string HostRequests::encodeAnswer(const AskFrame &frame, const std::function<void(AnswerFrame &, Texts &)> &fill) {
  AnswerFrame answer;
  answer.id = frame.id;
  Texts texts;
  mos_error error{};
  const mos_status status = guarded(&error, [&] { fill(answer, texts); });
  answer.failure = FrameError::of(status, error);
  std::string bytes;
  if (guarded(&error, [&] { bytes = encode(answer); }) == MOS_OK) return bytes;
  AnswerFrame tooLong;
  tooLong.id = frame.id;
  tooLong.failure = FrameError::of(error.status, error);
  return encode(tooLong);
}

void HostRequests::answerQuestion(const AskFrame &frame, AnswerFrame &answer, Texts &texts) {
  switch (static_cast<Question>(frame.question)) {
  case Question::ConfigString:
    texts.text = config_.getString(frame.first);
    answer.text = texts.text;
    return;
  case Question::ConfigInt:
    answer.integer = config_.getInt(frame.first);
    return;
  case Question::ConfigNumber:
    answer.number = config_.getNumber(frame.first);
    return;
  case Question::ConfigList:
    for (std::string &item : config_.getList(frame.first))
      answer.list.emplace_back(texts.list.emplace_back(std::move(item)));
    return;
  case Question::PlatformInfo:
    texts.text = platform_.info();
    answer.text = texts.text;
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
  case Question::Acquire:
    answer.integer = needed_->acquire(frame.first, frame.second);
    return;
  case Question::Release:
    return needed_->release(frame.number);
  case Question::Declared:
    for (std::string &instance : needed_->declared(frame.first))
      answer.list.emplace_back(texts.list.emplace_back(std::move(instance)));
    return;
  case Question::Subscribe:
    return subscriptions_.subscribe(frame.number, frame.first);
  case Question::Unsubscribe:
    return subscriptions_.unsubscribe(frame.number);
  default:
    refuseFrame("there is no question " + std::to_string(frame.question));
  }
}

void HostRequests::answerKv(const AskFrame &frame, AnswerFrame &answer, Texts &texts) const {
  switch (static_cast<Question>(frame.question)) {
  case Question::KvGet: {
    auto found = keyValues_->get(frame.first);
    if (!found) throw Error(Status::NotFound, "there is no such key", "NO_KEY");
    texts.text = std::move(found->bytes);
    answer.text = texts.text;
    answer.integer = found->version;
    return;
  }
  case Question::KvPut:
    answer.integer = keyValues_->put(frame.first, frame.second, frame.number);
    return;
  case Question::KvRemove:
    return keyValues_->remove(frame.first, frame.number);
  default:
    break;
  }
  std::size_t bytes = 0;
  keyValues_->list(frame.first, [&](std::string_view key, std::string_view value, std::int64_t version) {
    if (key <= frame.second) return true;
    if (answer.entries.size() == kMaxEntries || bytes > kFullPage) {
      answer.integer = 1;
      return false;
    }
    bytes += key.size() + value.size();
    const std::string &keptKey = texts.list.emplace_back(key), &keptValue = texts.list.emplace_back(value);
    answer.entries.push_back({keptKey, keptValue, version});
    return true;
  });
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
