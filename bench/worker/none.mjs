// A Worker that checks nothing: what the others are compared with.

export default {
  fetch: (request) => fetch(request),
};
