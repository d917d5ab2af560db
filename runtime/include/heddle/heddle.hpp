// All of heddle.
#pragma once

#include <heddle/address.hpp>
#include <heddle/buffer.hpp>
#include <heddle/cancel.hpp>
#include <heddle/diag.hpp>
#include <heddle/error.hpp>
#include <heddle/fiber.hpp>
#include <heddle/fwd.hpp>
#include <heddle/io.hpp>
#include <heddle/runtime.hpp>
#include <heddle/signal.hpp>
#include <heddle/socket.hpp>
#include <heddle/time.hpp>
#include <heddle/version.hpp>
