/* Writer(dump, encode, slots, pieces, function): called with a message, it returns the bytes of its envelope.
 *
 * `slots` are those of the message's header; of the header's id, time and meta; and of the id's value. `pieces` are
 * the bytes that stand before the id, between the id and the time, before the attributes, before the meta, and at the
 * end. Where the time isn't written as RFC 3339 in UTC with microseconds, or the header has anything else unusual, it
 * calls `function`, which does it all. */
#include "fast.h"

enum { HEADER, ID, TIME, META, VALUE, SLOTS };
enum { START, MIDDLE, ATTRIBUTES, BEFORE_META, END, PIECES };

#define MOMENT_LENGTH ((Py_ssize_t)sizeof("\"2021-12-28T14:11:47.845618Z\"") - 1)
#define WRITTEN (MOMENT_LENGTH - 2) /* neither the Z nor the quote after it: the next piece begins with that */
#define BETWEEN 11                  /* where the T stands, in place of a blank */

typedef struct {
    PyObject_HEAD
    vectorcallfunc vectorcall;
    PyObject *dump;
    PyObject *encode;
    PyObject *slots;
    PyObject *pieces;
    PyObject *function;
} Writer;

/* The parts of one message's envelope, each bytes. */
typedef struct {
    PyObject *attributes, *id, *moment, *meta;
} Parts;

static PyObject *
encoded(Writer *self, PyObject *value)
{
    PyObject *made = value == NULL ? NULL : PyObject_CallOneArg(self->encode, value);
    Py_XDECREF(value);
    if (made != NULL && !PyBytes_CheckExact(made)) {
        PyErr_Format(PyExc_TypeError, "expected bytes from the encoder, not %R", Py_TYPE(made));
        Py_CLEAR(made);
    }
    return made;
}

static PyObject *
slot_of(Writer *self, int which, PyObject *object)
{
    return object == NULL ? NULL : get_slot(PyTuple_GET_ITEM(self->slots, which), object);
}

static int
encode_parts(Writer *self, PyObject *message, Parts *parts)
{
    parts->attributes = encoded(self, PyObject_CallOneArg(self->dump, message));
    PyObject *header = parts->attributes == NULL ? NULL : slot_of(self, HEADER, message);
    if (header == NULL) {
        return -1;
    }
    PyObject *id = slot_of(self, ID, header);
    parts->id = encoded(self, slot_of(self, VALUE, id));
    parts->moment = parts->id == NULL ? NULL : encoded(self, slot_of(self, TIME, header));
    parts->meta = parts->moment == NULL ? NULL : encoded(self, slot_of(self, META, header));
    Py_XDECREF(id);
    Py_DECREF(header);
    return parts->meta == NULL ? -1 : 0;
}

static char *
copy(char *target, const char *source, Py_ssize_t size)
{
    memcpy(target, source, (size_t)size);
    return target + size;
}

static char *
copy_bytes(char *target, PyObject *source)
{
    return copy(target, PyBytes_AS_STRING(source), PyBytes_GET_SIZE(source));
}

static PyObject *
joined(Writer *self, Parts *parts)
{
    Py_ssize_t size = WRITTEN + PyBytes_GET_SIZE(parts->id) + PyBytes_GET_SIZE(parts->attributes) +
                      PyBytes_GET_SIZE(parts->meta);
    for (int place = 0; place < PIECES; place++) {
        size += PyBytes_GET_SIZE(PyTuple_GET_ITEM(self->pieces, place));
    }
    PyObject *made = PyBytes_FromStringAndSize(NULL, size);
    if (made == NULL) {
        return NULL;
    }
    char *target = copy_bytes(PyBytes_AS_STRING(made), PyTuple_GET_ITEM(self->pieces, START));
    target = copy_bytes(target, parts->id);
    target = copy_bytes(target, PyTuple_GET_ITEM(self->pieces, MIDDLE));
    target[BETWEEN] = ' ';
    copy(target, PyBytes_AS_STRING(parts->moment), BETWEEN);
    copy(target + BETWEEN + 1, PyBytes_AS_STRING(parts->moment) + BETWEEN + 1, WRITTEN - BETWEEN - 1);
    target = copy_bytes(target + WRITTEN, PyTuple_GET_ITEM(self->pieces, ATTRIBUTES));
    target = copy_bytes(target, parts->attributes);
    target = copy_bytes(target, PyTuple_GET_ITEM(self->pieces, BEFORE_META));
    target = copy_bytes(target, parts->meta);
    copy_bytes(target, PyTuple_GET_ITEM(self->pieces, END));
    return made;
}

static PyObject *
writer_call(PyObject *callable, PyObject *const *arguments, size_t nargsf, PyObject *keywords)
{
    Writer *self = (Writer *)callable;
    Parts parts = {NULL, NULL, NULL, NULL};
    PyObject *made = NULL;
    if (!is_given(1, nargsf, keywords, Py_TYPE(callable))) {
        return NULL;
    }
    int found = encode_parts(self, arguments[0], &parts);
    int usual = found == 0 && PyBytes_GET_SIZE(parts.moment) == MOMENT_LENGTH;
    if (usual) {
        made = joined(self, &parts);
    }
    else if (found == 0 || (parts.attributes != NULL && forgive())) { /* the header has something unusual */
        made = PyObject_CallOneArg(self->function, arguments[0]);
    }
    Py_XDECREF(parts.attributes);
    Py_XDECREF(parts.id);
    Py_XDECREF(parts.moment);
    Py_XDECREF(parts.meta);
    return made;
}

static int
are_pieces(PyObject *pieces)
{
    int right = PyTuple_GET_SIZE(pieces) == PIECES;
    for (int place = 0; right && place < PIECES; place++) {
        right = PyBytes_CheckExact(PyTuple_GET_ITEM(pieces, place));
    }
    if (!right) {
        PyErr_Format(PyExc_TypeError, "expected %d pieces of bytes", PIECES);
    }
    return right;
}

static int
are_slots(PyObject *slots)
{
    if (PyTuple_GET_SIZE(slots) != SLOTS) {
        PyErr_Format(PyExc_TypeError, "expected %d slots", SLOTS);
        return 0;
    }
    for (int place = 0; place < SLOTS; place++) {
        if (!is_slot(PyTuple_GET_ITEM(slots, place))) {
            return 0;
        }
    }
    return 1;
}

static PyObject *
writer_new(PyTypeObject *type, PyObject *arguments, PyObject *keywords)
{
    PyObject *dump, *encode, *slots, *pieces, *function;
    char *names[] = {"", "", "", "", "", NULL};
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "OOO!O!O:Writer", names, &dump, &encode, &PyTuple_Type,
                                     &slots, &PyTuple_Type, &pieces, &function) ||
        !are_slots(slots) || !are_pieces(pieces)) {
        return NULL;
    }
    Writer *self = (Writer *)type->tp_alloc(type, 0);
    if (self == NULL) {
        return NULL;
    }
    self->vectorcall = writer_call;
    self->dump = Py_NewRef(dump);
    self->encode = Py_NewRef(encode);
    self->slots = Py_NewRef(slots);
    self->pieces = Py_NewRef(pieces);
    self->function = Py_NewRef(function);
    return (PyObject *)self;
}

static int
writer_traverse(PyObject *object, visitproc visit, void *arg)
{
    Writer *self = (Writer *)object;
    Py_VISIT(Py_TYPE(object));
    Py_VISIT(self->dump);
    Py_VISIT(self->encode);
    Py_VISIT(self->slots);
    Py_VISIT(self->pieces);
    Py_VISIT(self->function);
    return 0;
}

static void
writer_release(PyObject *object)
{
    Writer *self = (Writer *)object;
    Py_DECREF(self->dump);
    Py_DECREF(self->encode);
    Py_DECREF(self->slots);
    Py_DECREF(self->pieces);
    Py_DECREF(self->function);
}

static void
writer_dealloc(PyObject *object)
{
    dealloc(object, writer_release);
}

static PyMemberDef writer_members[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(Writer, vectorcall), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot writer_slots[] = {
    {Py_tp_doc, "Writes the envelopes of a message class."},
    {Py_tp_new, writer_new},
    {Py_tp_call, PyVectorcall_Call},
    {Py_tp_members, writer_members},
    {Py_tp_traverse, writer_traverse},
    {Py_tp_dealloc, writer_dealloc},
    {0, NULL},
};

PyType_Spec writer_spec = {
    .name = "domainkit._fast.Writer",
    .basicsize = sizeof(Writer),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_HAVE_VECTORCALL | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = writer_slots,
};
