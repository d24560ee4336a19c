/// edge/LoopImpl.h: the only header with Asio in it; internal.
#pragma once

#include "Loop.h"

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/basic_stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

#include <thread>

namespace matrixos::edge {

namespace asio = boost::asio;

struct Loop::Impl {
  asio::io_context context{1};
  asio::executor_work_guard<asio::io_context::executor_type> work{context.get_executor()};
  asio::basic_waitable_timer<std::chrono::steady_clock, asio::wait_traits<std::chrono::steady_clock>,
                             asio::io_context::executor_type>
      clock{context};
  std::thread thread;
};

using Descriptor = asio::posix::basic_stream_descriptor<asio::io_context::executor_type>;

} // namespace matrixos::edge
