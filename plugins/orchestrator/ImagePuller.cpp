#include "ImagePuller.h"

#include <chrono>
#include <utility>

namespace matrixos::orchestrator {

namespace {
constexpr std::chrono::milliseconds kProgressInterval{250};
}

/// A pull handed to the executor; dropped unrun, it fails.
class ImagePuller::Task {
public:
  Task(ImagePuller &puller, std::string image) : puller_(puller), image_(std::move(image)) {}
  Task(const Task &) = delete;
  Task &operator=(const Task &) = delete;
  ~Task() {
    if (ran_) return;
    const Error refused(Status::Unavailable, "the image was not pulled: the platform is too busy or stopping", "BUSY");
    puller_.finish(image_, {}, &refused);
  }
  void run() {
    ran_ = true;
    puller_.run(image_);
  }

private:
  ImagePuller &puller_;
  std::string image_;
  bool ran_ = false;
};

void ImagePuller::ensure(const std::string &image, OnProgress onProgress, OnDone onDone) {
  std::string next;
  {
    const std::lock_guard lock(mutex_);
    const auto [at, isNew] = pulls_.try_emplace(image);
    at->second.onProgress.push_back(std::move(onProgress));
    at->second.onDone.push_back(std::move(onDone));
    if (!isNew) return;
    waiting_.push_back(image);
    next = takeNext();
  }
  begin(next);
}

std::string ImagePuller::takeNext() {
  if (waiting_.empty() || active_ >= settings_.get()->pullConcurrency) return {};
  std::string image = std::move(waiting_.front());
  waiting_.pop_front();
  ++active_;
  return image;
}

void ImagePuller::begin(const std::string &image) {
  if (image.empty()) return;
  const auto task = std::make_shared<Task>(*this, image);
  try {
    executor_.submit([task] { task->run(); });
  } catch (const Error &) { // the task's end reports it
  }
}

void ImagePuller::run(const std::string &image) {
  auto reported = std::chrono::steady_clock::time_point{};
  try {
    const std::string digest = engine_.pull(image, [&](const Progress &progress) {
      const auto now = std::chrono::steady_clock::now();
      if (now - reported < kProgressInterval) return;
      reported = now;
      report(image, progress);
    });
    finish(image, digest, nullptr);
  } catch (const Error &e) {
    // A runtime without images (processes) has nothing to fetch.
    finish(image, {}, e.status() == Status::Unimplemented ? nullptr : &e);
  }
}

void ImagePuller::report(const std::string &image, const Progress &progress) {
  std::vector<OnProgress> listeners;
  {
    const std::lock_guard lock(mutex_);
    const auto found = pulls_.find(image);
    if (found != pulls_.end()) listeners = found->second.onProgress;
  }
  for (const OnProgress &listener : listeners)
    listener(progress);
}

void ImagePuller::finish(const std::string &image, const std::string &digest, const Error *error) {
  std::vector<OnDone> listeners;
  {
    const std::lock_guard lock(mutex_);
    if (const auto found = pulls_.find(image); found != pulls_.end()) {
      listeners = std::move(found->second.onDone);
      pulls_.erase(found);
    }
  }
  for (const OnDone &listener : listeners)
    listener(digest, error);
  std::string next;
  {
    // Notified under the lock: whoever waits may destroy the puller as soon as the lock is free.
    const std::lock_guard lock(mutex_);
    --active_;
    next = takeNext();
    if (active_ == 0) idle_.notify_all();
  }
  begin(next);
}

bool ImagePuller::waitIdle(std::chrono::milliseconds timeout) {
  std::unique_lock lock(mutex_);
  return idle_.wait_for(lock, timeout, [this] { return active_ == 0; });
}

} // namespace matrixos::orchestrator
