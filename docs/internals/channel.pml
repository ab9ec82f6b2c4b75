/* SPDX-License-Identifier: MIT */
/*
 * channel.pml - the ring of channel.md, small enough to look at every order of its steps, with a death before each.
 *
 * Two writers send two messages each, or the second but one, of two or three units, through a ring of six, to two
 * readers. Up to KILLS of the four die, each before any step. A step is one store that others can see, with what was
 * read for it under a lock or in places that only the stepper writes. Content is a number that no header has, so who
 * ever takes one for the other fails an assertion.
 *
 *   MPMC        both locks; readers take and release. Writer 0 copies, writer 1 reserves, the second time too much
 *   MPSC        the claim's lock; one reader, whose place the other takes over
 *   SPSC        no lock; one writer and one reader, whose places are taken over
 *   BROADCAST   the claim's lock; readers join, get every message from then on, and hold writers up
 *   OVERWRITE   the same, but they hold nobody up, and lose what is overwritten; one reader
 *   SLEEP       not the ring: who goes to sleep, and who wakes whom (the ring is a count)
 *
 * Held true: nobody receives a message twice, torn, before it was sent, or before an earlier one of its writer; each
 * whose send returned is received, or was held by a reader that died; nobody alive waits for ever; and without a death
 * nobody needs the end of a time slice to be woken.
 *
 * tools/check-model runs each kind, and each again with one of the BREAKs, which must fail. Memory is sequentially
 * consistent here: what C11 must be asked for beyond that is argued in channel.md, and tried under ThreadSanitizer.
 */
#ifndef KILLS
#define KILLS 1
#endif
#ifndef BREAK
#define BREAK 0 /* 1: no 0 behind a message; 2: the tail before the header; 3: the dead keep their reservations; 4: a room
                   too much by one; 5: a reader's place is taken over at what was released, not at what was received; 6:
                   no look at `oldest` after reading; 7: no second look before sleeping; 8: who is woken passes nothing
                   on; 9: the header before the content */
#endif

bool dead[4]; /* writers 0 and 1, readers 2 and 3 */
byte kills;
byte left_writers, left_readers; /* in order */
bool ended[4];

#define WRITERS_GONE (left_writers + dead[0] + dead[1] == 2)
#define READERS_GONE (left_readers + dead[2] + dead[3] == 2)

/* A step: before it, the process may die. */
#define MAY_DIE \
    if \
    :: kills < KILLS -> kills++; dead[me] = true; goto out \
    :: true \
    fi
#define STEP(what) atomic { MAY_DIE; what }
#define OR_DIE atomic { kills < KILLS -> kills++; dead[me] = true; goto out }

#ifndef SLEEP
/* ---- The ring ---------------------------------------------------------------------------------------------------- */

#if defined(BROADCAST) || defined(OVERWRITE)
#define CAPACITY 5
#define IS_LONG true /* the reservation is used whole */
#else
#define CAPACITY 6
#define IS_LONG false
#endif
#define AT(position) memory[(position) % CAPACITY]

/* A header: state, whose, units with itself. Content: 128 and which message. */
#define RESERVED 1
#define COMMITTED 2
#define VOID 3
#define TAKEN 4
#define DONE 5
#define HEADER(state, who, span) ((state) | ((who) << 3) | ((span) << 5))
#define STATE(header) ((header) & 7)
#define WHO(header) (((header) >> 3) & 3)
#define SPAN(header) ((header) >> 5)
#define CONTENT(message) (128 + (message))
#define BIT(message) (1 << (message))
#define IS_LEFT(header) (STATE(header) == RESERVED && dead[WHO(header)] && BREAK != 3)

byte memory[CAPACITY];
byte tail;         /* a hint: the end of what is claimed, or before it */
byte head;         /* everything before is free */
byte claim_owner;  /* the locks: 0, or who has it and one */
byte sent, acknowledged, taken; /* messages, as bits: by header stored, send returned, reader come upon */
byte held, received;            /* by a reader that has not been given it yet; given to somebody */

#if defined(BROADCAST) || defined(OVERWRITE)
#define EACH_READER
byte cursor[4];
bool joined[4];
byte before[4], got[4];
#endif

#ifdef SPSC
#define LOCK(lock) skip
#define UNLOCK(lock) skip
#define MAY_OPEN (me == 0 || ended[0])
#else
/* verso_mutex: the next owner after a dead one has to repair nothing: see the walks */
#define LOCK(lock) \
    atomic { \
        if \
        :: lock == 0 || dead[lock - 1] -> lock = me + 1 \
        :: kills < KILLS -> kills++; dead[me] = true; goto out \
        fi \
    }
#define UNLOCK(lock) STEP(lock = 0)
#define MAY_OPEN true
#endif

#if defined(MPSC) || defined(SPSC)
#define MESSAGES(writer) 2
#else
#define MESSAGES(writer) (2 - (writer)) /* which still goes round the ring, and ends in a minute */
#endif

#define HAS_ROOM (span + 1 <= CAPACITY + (BREAK == 4) - (tail - head))

/* Under the claim's lock: headers are the truth. */
inline find_tail()
{
    do
    :: atomic { AT(tail) != 0 -> assert(AT(tail) < 128); MAY_DIE; tail = tail + SPAN(AT(tail)) }
    :: else -> break
    od
}

/* A reservation whose writer is dead: nobody else changes it, but another who found it. */
inline give_up(position, header)
{
    STEP(
        if
        :: AT(position) == header -> AT(position) = HEADER(VOID, WHO(header), SPAN(header))
        :: else
        fi)
}

/* Without room: everybody makes what he can. */
#ifdef MPMC
byte next;       /* a hint: the first that nobody has taken, or before it */
byte take_owner;

/* Under the taking's lock. */
inline free_released()
{
    do
    :: atomic {
           head != next && (STATE(AT(head)) == DONE || STATE(AT(head)) == VOID) ->
           assert(AT(head) < 128);
           MAY_DIE;
           head = head + SPAN(AT(head))
       }
    :: else -> break
    od
}

inline make_room()
{
    LOCK(take_owner);
    at = head;
    do
    :: atomic {
           at < next || STATE(AT(at)) == TAKEN ->
           assert(AT(at) < 128);
           MAY_DIE;
           if
           :: STATE(AT(at)) == TAKEN && dead[WHO(AT(at)) + 2] ->
              AT(at) = HEADER(DONE, WHO(AT(at)), SPAN(AT(at)))
           :: else
           fi;
           at = at + SPAN(AT(at))
       };
       if
       :: at > next -> STEP(next = at)
       :: else
       fi
    :: else -> break
    od;
    free_released();
    UNLOCK(take_owner)
}
#define CAN_HAVE_ROOM (HAS_ROOM || dead[2] + dead[3] > deaths || READERS_GONE)
#endif

#ifdef EACH_READER
#ifdef OVERWRITE
#define IS_WANTED(position) false
#else
#define HOLDS(who, position) (joined[who] && !dead[who] && cursor[who] <= (position))
#define IS_WANTED(position) (HOLDS(2, position) || HOLDS(3, position))
#endif

/* Under the claim's lock. `head` is `oldest` here: it moves before anything behind it is overwritten. */
inline make_room()
{
    do
    :: head != tail && !HAS_ROOM && !IS_WANTED(head) && IS_LEFT(AT(head)) ->
       give_up(head, HEADER(RESERVED, WHO(AT(head)), SPAN(AT(head))))
    :: atomic {
           head != tail && !HAS_ROOM && !IS_WANTED(head) && STATE(AT(head)) != RESERVED ->
           assert(AT(head) < 128);
           MAY_DIE;
           head = head + SPAN(AT(head))
       }
    :: else -> break
    od
}
#define CAN_HAVE_ROOM \
    (HAS_ROOM || head != tail && !IS_WANTED(head) && (STATE(AT(head)) != RESERVED || IS_LEFT(AT(head))))
#endif

#if defined(MPSC) || defined(SPSC)
#define make_room() skip
#define CAN_HAVE_ROOM (HAS_ROOM || READERS_GONE)
#endif

inline publish(header)
{
    STEP(
        AT(at) = header;
        if
        :: STATE(header) == COMMITTED || STATE(header) == RESERVED -> sent = sent | BIT(message)
        :: else
        fi)
}

inline fill(units)
{
    STEP(
        AT(at + 1) = CONTENT(message);
        if
        :: units == 3 -> AT(at + 2) = CONTENT(message)
        :: else
        fi)
}

/* Under the claim's lock, or alone: all of a copy, or the claim of a reservation. */
inline put(header)
{
#if BREAK == 9
    publish(header);
#endif
    if
    :: STATE(header) == COMMITTED -> fill(span)
    :: else
    fi;
#if BREAK != 1
    STEP(AT(at + span) = 0);
#endif
#if BREAK == 2
    STEP(tail = at + span);
#endif
#if BREAK != 9
    publish(header);
#endif
#if BREAK != 2
    STEP(tail = at + span);
#endif
}

proctype Writer(byte me)
{
    byte nth, message, span, at, deaths;
    bool none;

    MAY_OPEN;
    do
    :: nth == MESSAGES(me) -> break
    :: else ->
       atomic { message = (me * 2) + nth; span = (me == nth -> 2 : 3) }
       LOCK(claim_owner);
       find_tail();
       if
       :: atomic { HAS_ROOM -> at = tail };
#ifdef SPSC
          put(HEADER(COMMITTED, me, span));
#else
          if
          :: me == 0 ->
             put(HEADER(COMMITTED, me, span));
             UNLOCK(claim_owner)
          :: else ->
             put(HEADER(RESERVED, me, span));
             UNLOCK(claim_owner);
             if
             :: nth == 0 && !IS_LONG -> /* three units reserved, two used: what is left is void, before the rest is seen */
                fill(2);
                STEP(AT(at + 2) = HEADER(VOID, me, 1));
                publish(HEADER(COMMITTED, me, 2))
             :: else ->
                fill(span);
                publish(HEADER(COMMITTED, me, span))
             fi
          fi;
#endif
          STEP(acknowledged = acknowledged | BIT(message); nth++; at = 0)
       :: else ->
          atomic { deaths = dead[2] + dead[3]; none = READERS_GONE }
#ifdef EACH_READER
          make_room();
          UNLOCK(claim_owner);
#else
          UNLOCK(claim_owner);
          make_room();
#endif
          if
          :: CAN_HAVE_ROOM && !none
          :: none && CAN_HAVE_ROOM && HAS_ROOM
          :: none && !HAS_ROOM -> break /* -EPIPE, or VERSO_E_PEER_DIED */
          :: OR_DIE
          fi;
          atomic { deaths = 0; none = false; at = 0 }
       fi
    od;
    STEP(left_writers++);
out:
    atomic { nth = 0; message = 0; span = 0; at = 0; deaths = 0; none = false; ended[me] = true }
}

/* ---- Receiving --------------------------------------------------------------------------------------------------- */

/* What a reader comes upon: whole, in order. */
inline come_upon(position)
{
    assert(AT(position + 1) >= 128);
    assert(SPAN(header) == 2 || AT(position + 2) == AT(position + 1));
    message = AT(position + 1) - 128;
    assert(sent & BIT(message));
}

inline come_upon_first(position)
{
    come_upon(position);
    assert(message % 2 == 0 || taken & BIT(message - 1));
    taken = taken | BIT(message);
    held = held | BIT(message)
}

inline deliver()
{
    STEP(
        assert(!(received & BIT(message)));
        received = received | BIT(message);
        held = held & ~BIT(message);
        message = 0)
}

#define IS_THERE(position) (AT(position) != 0 && (STATE(AT(position)) != RESERVED || IS_LEFT(AT(position))))

#ifdef MPMC
proctype Reader(byte me)
{
    byte header, at, message;
    bool none;

    do
    :: none = WRITERS_GONE;
       LOCK(take_owner);
       do
       :: header = AT(next);
          assert(header < 128);
          if
          :: header == 0 || STATE(header) == COMMITTED || STATE(header) == RESERVED && !IS_LEFT(header) -> break
          :: IS_LEFT(header) -> give_up(next, header)
          :: else -> STEP(next = next + SPAN(header))
          fi
       od;
       free_released();
       if
       :: STATE(header) == COMMITTED ->
          STEP(at = next; AT(at) = HEADER(TAKEN, me - 2, SPAN(header)); come_upon_first(at));
          STEP(next = at + SPAN(header));
          UNLOCK(take_owner);
          deliver();
          LOCK(take_owner);
          STEP(AT(at) = HEADER(DONE, me - 2, SPAN(header)));
          free_released();
          UNLOCK(take_owner);
          atomic { at = 0; header = 0 }
       :: else ->
          UNLOCK(take_owner);
          header = 0;
          if
          :: none -> break /* -EPIPE, or VERSO_E_PEER_DIED */
          :: !none && (IS_THERE(next) || WRITERS_GONE)
          :: OR_DIE
          fi
       fi
    od;
    STEP(left_readers++);
out:
    atomic { header = 0; at = 0; message = 0; none = false; ended[me] = true }
}
#endif

#if defined(MPSC) || defined(SPSC)
byte passed; /* where what was received ends; what was released ends at `head` */

proctype Reader(byte me)
{
    byte header, message;
    bool none;

    me == 2 || ended[2];
#if BREAK != 5
    if
    :: passed > head -> STEP(head = passed) /* held by one that died: counts as received */
    :: else
    fi;
#endif
    do
    :: none = WRITERS_GONE;
       header = AT(head);
       assert(header < 128);
       if
       :: header == 0 || STATE(header) == RESERVED && !IS_LEFT(header) ->
          header = 0;
          if
          :: none -> break
          :: !none && (IS_THERE(head) || WRITERS_GONE)
          :: OR_DIE
          fi
       :: IS_LEFT(header) -> give_up(head, header)
       :: STATE(header) == VOID -> STEP(head = head + SPAN(header))
       :: STATE(header) == COMMITTED && SPAN(header) == 2 -> /* in place */
          STEP(passed = head + 2; come_upon_first(head));
          deliver();
          STEP(head = passed)
       :: STATE(header) == COMMITTED && SPAN(header) == 3 -> /* a copy: passed and released in one */
          STEP(come_upon_first(head); head = head + 3);
          deliver()
       fi
    od;
    STEP(left_readers++);
out:
    atomic { header = 0; message = 0; none = false; ended[me] = true }
}
#endif

#ifdef EACH_READER
proctype Reader(byte me)
{
    byte header, message;
    bool none;

    LOCK(claim_owner);
    find_tail();
    STEP(cursor[me] = tail; joined[me] = true; before[me] = sent);
    UNLOCK(claim_owner);
    do
    :: none = WRITERS_GONE;
       header = AT(cursor[me]);
       if
       :: head > cursor[me] -> /* lost some; only now is it known what the header is worth */
#ifndef OVERWRITE
          assert(false);
#endif
          STEP(cursor[me] = head)
       :: else ->
          assert(header < 128);
          if
          :: header == 0 || STATE(header) == RESERVED && !IS_LEFT(header) ->
             header = 0;
             if
             :: none -> break
             :: !none && (IS_THERE(cursor[me]) || head > cursor[me] || WRITERS_GONE)
             :: OR_DIE
             fi
          :: IS_LEFT(header) -> give_up(cursor[me], header)
          :: STATE(header) == VOID -> STEP(cursor[me] = cursor[me] + SPAN(header))
          :: STATE(header) == COMMITTED ->
             message = AT(cursor[me] + 1);
             if
             :: BREAK != 6 && head > cursor[me] -> STEP(cursor[me] = head)
             :: else ->
                STEP(
                    assert(message >= 128);
                    message = message - 128;
                    assert(sent & BIT(message) && !(got[me] & BIT(message)) && !(before[me] & BIT(message)));
                    assert(!(message % 2 == 0 && got[me] & BIT(message + 1)));
                    got[me] = got[me] | BIT(message);
                    message = 0;
                    cursor[me] = cursor[me] + SPAN(header))
             fi
          fi
       fi
    od;
    atomic {
#ifndef OVERWRITE
        assert((acknowledged & ~(got[me] | before[me])) == 0);
#endif
        MAY_DIE;
        left_readers++
    }
    STEP(joined[me] = false);
out:
    atomic { header = 0; message = 0; none = false; ended[me] = true }
}
#endif

active proctype Judge()
{
    ended[0] && ended[1] && ended[2] && ended[3];
    assert(held == 0 || dead[2] || dead[3]);
#ifndef EACH_READER
    assert(left_readers == 0 || (acknowledged & ~(received | held)) == 0);
#endif
}

#else
/* ---- Sleep --------------------------------------------------------------------------------------------------------- */

/* What is in the ring; put in and taken out in one step each. */
byte messages;

/* The bell: 1 when somebody sleeps or is about to; and 2 for each time it was rung, so that who made up his mind before
 * does not go to sleep after. */
byte bell;
byte asleep[4]; /* the bell as it was seen; 0: awake */
#define RUNG ((bell & 6) + 2 & 7)

inline ring()
{
    if
    :: bell & 1 ->
       STEP(old = bell & 1; bell = (old -> RUNG : bell));
       if
       :: old ->
          STEP(
              old = 0;
              if
              :: asleep[2] -> asleep[2] = 0
              :: asleep[3] -> asleep[3] = 0
              :: else
              fi)
       :: else
       fi
    :: else
    fi
}

proctype Writer(byte me)
{
    byte old;

    STEP(messages++);
    ring();
    if
    :: me == 0 ->
       STEP(messages++);
       ring()
    :: else
    fi;
end_idle: /* no close, and no death, would wake those who were missed */
    false;
out:
    atomic { old = 0; ended[me] = true }
}

/* Reader 2, once it has been given a message, may have no time for others. */
proctype Reader(byte me)
{
    byte deaths, seen, old;

    do
    :: deaths = dead[0] + dead[1];
       if
       :: atomic { messages > 0 -> MAY_DIE; messages--; seen = 0 };
#if BREAK != 8
          if
          :: messages > 0 -> ring()
          :: else
          fi;
#endif
          if
          :: me == 2 -> end_busy: ended[3] /* for as long as there is another */
          :: true
          fi
#if BREAK != 7
       :: messages == 0 && !seen -> STEP(bell = bell | 1; seen = bell)
       :: messages == 0 && seen ->
#else
       :: messages == 0 -> STEP(bell = bell | 1; seen = bell);
#endif
          /* futex: sleeps if the bell is as it was seen, until it is woken, a writer ends, or the time slice does */
          STEP(asleep[me] = (bell == seen -> seen : 0));
end_asleep: if
          :: !asleep[me]
          :: asleep[me] && dead[0] + dead[1] > deaths -> asleep[me] = 0
          :: timeout && messages > 0 -> atomic { asleep[me] = 0; assert(kills > 0) }
          :: OR_DIE
          fi;
          STEP(bell = bell | 1; seen = bell) /* others may sleep still */
       fi
    od;
out:
    atomic { deaths = 0; seen = 0; old = 0; asleep[me] = 0; ended[me] = true }
}
#endif

init
{
    atomic {
        run Writer(0);
        run Writer(1);
        run Reader(2);
#ifdef OVERWRITE
        left_readers = 1; /* one will do: those that hold nobody up don't meet */
        ended[3] = true
#else
        run Reader(3)
#endif
    }
}
