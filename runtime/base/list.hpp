// A doubly linked list through its elements: constant-time removal, and never an allocation.
#pragma once

#include "runtime/base/assert.hpp"

namespace heddle::detail {

/// What an element derives from to be in at most one list at a time.
struct list_node {
    list_node* previous = nullptr;  ///< null while in no list
    list_node* next = nullptr;

    list_node() = default;
    list_node(const list_node&) = delete;
    list_node& operator=(const list_node&) = delete;
    bool linked() const noexcept { return previous != nullptr; }
};

/// A queue of T, which derives from list_node. Owns nothing; elements must be removed before they
/// die. One thread at a time.
template <class T>
class intrusive_list {
public:
    intrusive_list() noexcept { anchor_.previous = anchor_.next = &anchor_; }

    bool empty() const noexcept { return anchor_.next == &anchor_; }
    T& front() noexcept { return *static_cast<T*>(anchor_.next); }

    void push_back(T& element) noexcept {
        list_node& node = element;
        HEDDLE_ASSERT(!node.linked(), "an element is pushed that is in a list already");
        node.previous = anchor_.previous;
        node.next = &anchor_;
        anchor_.previous->next = &node;
        anchor_.previous = &node;
    }

    static void remove(T& element) noexcept {
        list_node& node = element;
        node.previous->next = node.next;
        node.next->previous = node.previous;
        node.previous = node.next = nullptr;
    }

    /// Calls f for each element in order; f may remove the element that it is given, no other.
    template <class F>
    void for_each(F f) {
        for (list_node* node = anchor_.next; node != &anchor_;) {
            list_node* const next = node->next;
            f(*static_cast<T*>(node));
            node = next;
        }
    }

private:
    list_node anchor_;  // closes the ring, so that no end is a special case
};

}  // namespace heddle::detail
